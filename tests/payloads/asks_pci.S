# Each vCPU reads a register of the first PCI function a thousand times, in turns with the others: those with an odd number
# what it is, the others what class it has. The first one says "as it was", or that somebody read something else.
	.include "pvh.inc"

	.equ APIC_BASE, 0x1b
	.equ ENABLED_X2, 0xc00		# real mode has no other way to the local APIC
	.equ X2_ID, 0x802
	.equ X2_COMMAND, 0x830
	.equ INIT_OTHERS, 0xc4500
	.equ START_OTHERS, 0xc4600
	.equ TRAMPOLINE, 0x8000		# where they start, in real mode
	.equ TIMES, 1000
	.equ ADDRESS, 0xcf8
	.equ DATA, 0xcfc
	.equ FIRST, 0x80000000
	.equ CLASS, 8

	.equ LOCK, 0x9000		# what they have in common
	.equ DONE, 0x9004
	.equ WRONG, 0x9008
	.equ EXPECTED, 0x900c		# two of them

	.macro	read register		# in EAX
	mov	\register, %eax
	mov	$ADDRESS, %dx
	out	%eax, %dx
	mov	$DATA, %dx
	in	%dx, %eax
	.endm

	.macro	local_apic
	mov	$APIC_BASE, %ecx
	rdmsr
	or	$ENABLED_X2, %eax
	wrmsr
	.endm

	.macro	start_others how
	mov	$X2_COMMAND, %ecx
	mov	\how, %eax
	xor	%edx, %edx
	wrmsr
	.endm

	.macro	work
	local_apic
	mov	$X2_ID, %ecx
	rdmsr
	mov	%eax, %esi
	and	$1, %esi
	mov	$FIRST, %edi
	test	%esi, %esi
	jnz	1f
	or	$CLASS, %edi
1:	mov	$TIMES, %ecx
2:	mov	$1, %eax
	xchg	%eax, LOCK
	test	%eax, %eax
	jnz	2b
	read	%edi
	movl	$0, LOCK
	cmp	EXPECTED(,%esi,4), %eax
	je	3f
	lock incl WRONG
3:	dec	%ecx
	jnz	2b
	lock incl DONE
	.endm

	.globl entry
entry:
	cld
	read	$FIRST
	mov	%eax, EXPECTED + 4
	read	$FIRST + CLASS
	mov	%eax, EXPECTED
	mov	$trampoline, %esi
	mov	$TRAMPOLINE, %edi
	mov	$end - trampoline, %ecx
	rep	movsb
	local_apic
	start_others $INIT_OTHERS
	start_others $START_OTHERS + (TRAMPOLINE >> 12)
	work
	mov	$0xb, %eax		# CPUID: how many there are
	mov	$1, %ecx
	cpuid
4:	cmp	%ebx, DONE
	jb	4b
	mov	EXPECTED, %eax
	cmp	EXPECTED + 4, %eax
	je	5f
	cmpl	$0, WRONG
	jne	5f
	mov	$as_it_was, %esi
	mov	$len_as, %ecx
	jmp	6f
5:	mov	$else, %esi
	mov	$len_else, %ecx
6:	mov	$COM1, %dx
	rep	outsb
	power_off
7:	jmp	7b

	.code16
trampoline:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	work
8:	hlt
	jmp	8b
end:
	.section .rodata
as_it_was: .ascii "as it was\n"
	.equ	len_as, . - as_it_was
else:	.ascii "something else\n"
	.equ	len_else, . - else
