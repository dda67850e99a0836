# Says something for ever.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$COM1, %dx
	mov	$'!', %al
1:	out	%al, %dx
	jmp	1b
