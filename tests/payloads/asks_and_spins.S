# Reads a register of the first PCI function 170 times, spins for seconds, and powers off.
	.include "pvh.inc"
	.equ TIMES, 170
	.equ SECONDS, 2			# 2^32 ticks of the TSC each
	.globl entry
entry:
	mov	$TIMES, %ecx
1:	mov	$0x80000000, %eax
	mov	$0xcf8, %dx
	out	%eax, %dx
	mov	$0xcfc, %dx
	in	%dx, %eax
	dec	%ecx
	jnz	1b
	rdtsc
	mov	%eax, %esi
	lea	SECONDS(%edx), %edi
2:	pause
	rdtsc
	cmp	%edi, %edx
	jb	2b
	cmp	%esi, %eax
	jb	2b
	power_off
3:	jmp	3b
