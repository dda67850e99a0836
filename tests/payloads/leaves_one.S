# Starts another vCPU and halts for good. The other says that it is there; then the command line counts: 's' spins, and
# anything else halts for good, too.
	.include "pvh.inc"

	.equ INFO_CMDLINE, 24		# hvm_start_info
	.equ LAPIC, 0xfee00000
	.equ LAPIC_SPURIOUS, LAPIC + 0x0f0
	.equ LAPIC_COMMAND, LAPIC + 0x300
	.equ ALL_BUT_SELF, 0xc0000
	.equ ASSERT_INIT, 0x4500
	.equ START_UP, 0x4600
	.equ TRAMPOLINE, 0x8000		# where the other starts, in real mode

	.globl entry
entry:
	cld
	mov	INFO_CMDLINE(%ebx), %esi
	mov	(%esi), %al
	mov	%al, TRAMPOLINE + what - trampoline
	mov	$trampoline, %esi
	mov	$TRAMPOLINE, %edi
	mov	$what - trampoline, %ecx
	rep	movsb
	movl	$0x1ff, LAPIC_SPURIOUS	# software-enable the local APIC
	movl	$ALL_BUT_SELF + ASSERT_INIT, LAPIC_COMMAND
	mov	$100000, %ecx
1:	pause
	loop	1b
	movl	$ALL_BUT_SELF + START_UP + (TRAMPOLINE >> 12), LAPIC_COMMAND
2:	cli
	hlt
	jmp	2b

# Real mode, CS = TRAMPOLINE >> 4.
	.code16
trampoline:
	cli
	mov	$COM1, %dx
	mov	$'!', %al
	out	%al, %dx
	cmpb	$'s', %cs:what - trampoline
1:	je	1b
2:	hlt
	jmp	2b
what:	.byte 0
