# 100,000 characters: 0 to 9 over and over, a newline behind each 100, then off.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$COM1, %dx
	mov	$1000, %edi
1:	mov	$99, %ecx
	mov	$'0', %al
2:	out	%al, %dx
	inc	%al
	cmp	$'9' + 1, %al
	jne	3f
	mov	$'0', %al
3:	loop	2b
	mov	$'\n', %al
	out	%al, %dx
	dec	%edi
	jnz	1b
	power_off
	hlt
