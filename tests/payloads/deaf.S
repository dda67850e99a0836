# Switches its power button on, says so, and halts for good.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$0x602, %dx		# PM1 enable: PWRBTN_EN
	mov	$0x100, %ax
	out	%ax, %dx
	mov	$COM1, %dx
	mov	$'!', %al
	out	%al, %dx
1:	cli
	hlt
	jmp	1b
