# Listens to the power button, says so, and says P and powers off when it is pressed.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$0x602, %dx		# PM1 enable: PWRBTN_EN
	mov	$0x100, %ax
	out	%ax, %dx
	mov	$COM1, %dx
	mov	$'!', %al
	out	%al, %dx
1:	mov	$0x600, %dx		# PM1 status
	in	%dx, %ax
	test	$0x100, %ax
	jz	1b
	mov	$COM1, %dx
	mov	$'P', %al
	out	%al, %dx
	power_off
	hlt
