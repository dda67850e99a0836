# Says that it runs, then never leaves the CPU and never exits to user space.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$COM1, %dx
	mov	$'!', %al
	out	%al, %dx
1:	jmp	1b
