# Starts another vCPU and halts for good. The other says that it is there; then the command line counts: 's' spins, and
# anything else halts for good, too.
	.include "pvh.inc"
	.include "smp.inc"

	.equ INFO_CMDLINE, 24		# hvm_start_info

	.globl entry
entry:
	cld
	mov	INFO_CMDLINE(%ebx), %esi
	mov	(%esi), %al
	mov	%al, TRAMPOLINE + what - trampoline
	start_others
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
trampoline_end:
what:	.byte 0
