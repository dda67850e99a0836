# A boot sector: resets the machine once by port 0xcf9; then says that it runs by COM1, and powers off by ACPI's S5.
	.equ DARK, 0xa000		# the segment of a display that there is not: RAM that SeaBIOS does not clear
	.code16
	.globl _start
_start:
	cld
	xor	%ax, %ax
	mov	%ax, %ds
	mov	$DARK, %ax
	mov	%ax, %es
	cmpw	$0xb007, %es:0
	je	second
	movw	$0xb007, %es:0
	mov	$0xcf9, %dx
	mov	$6, %al
	out	%al, %dx
	hlt
second:	mov	$0x7c00 + text - _start, %si
1:	lodsb
	test	%al, %al
	jz	2f
	mov	$0x3f8, %dx
	out	%al, %dx
	jmp	1b
2:	mov	$0x604, %dx
	mov	$0x2000, %ax
	out	%ax, %dx
	hlt
text:	.asciz "\n\nthe boot sector runs\n"
	.org 510
	.word 0xaa55
