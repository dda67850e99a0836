# Says that it is there, does nothing for 2^32 ticks of the time stamp counter, one or two seconds, and powers off.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$COM1, %dx
	mov	$'!', %al
	out	%al, %dx
	rdtsc
	mov	%eax, %esi
	mov	%edx, %edi
1:	pause
	rdtsc
	sub	%esi, %eax
	sbb	%edi, %edx
	jz	1b
	power_off
2:	hlt
	jmp	2b
