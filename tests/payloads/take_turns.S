# Two vCPUs that start each other for ever: each does something, starts the other by INIT and SIPI, and halts with interrupts
# off. At any moment one of them runs, or is about to. The first vCPU has halted, and the second one says that it is there.
	.include "pvh.inc"

	.equ APIC_BASE, 0x1b
	.equ ENABLED_X2, 0xc00		# real mode has no other way to the local APIC
	.equ X2_ID, 0x802
	.equ X2_COMMAND, 0x830		# who is meant is in EDX
	.equ ASSERT_INIT, 0x4500
	.equ START_UP, 0x4600
	.equ TRAMPOLINE, 0x8000		# where they start, in real mode
	.equ OTHER, 1 ^ 2
	.equ A_TURN, 20000		# ticks of the TSC, some microseconds

	.macro	local_apic
	mov	$APIC_BASE, %ecx
	rdmsr
	or	$ENABLED_X2, %eax
	wrmsr
	.endm

	.macro	start_edx
	mov	$X2_COMMAND, %ecx
	mov	$ASSERT_INIT, %eax
	wrmsr
	mov	$START_UP + (TRAMPOLINE >> 12), %eax
	wrmsr
	.endm

	.globl entry
entry:
	cld
	mov	$trampoline, %esi
	mov	$TRAMPOLINE, %edi
	mov	$end - trampoline, %ecx
	rep	movsb
	local_apic
	mov	$1, %edx
	start_edx
1:	cli
	hlt
	jmp	1b

	.code16
trampoline:
	cli
	local_apic
	mov	$X2_ID, %ecx
	rdmsr
	mov	%eax, %esi
	cmp	$2, %si
	jne	2f
	cmpb	$0, %cs:said - trampoline
	jne	2f
	movb	$1, %cs:said - trampoline
	mov	$COM1, %dx
	mov	$'!', %al
	out	%al, %dx
2:	rdtsc
	mov	%eax, %ecx
3:	rdtsc
	sub	%ecx, %eax
	cmp	$A_TURN, %eax
	jb	3b
	mov	%esi, %edx
	xor	$OTHER, %edx
	start_edx
4:	hlt
	jmp	4b
said:	.byte 0
end:
