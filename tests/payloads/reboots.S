# Counts its lives in memory that a reboot keeps, says which one it is, and asks for a reset until the fourth.
	.include "pvh.inc"
	.equ LIVES, 0x1000000		# outside of what is loaded again
	.globl entry
entry:
	cld
	mov	$COM1, %dx
	mov	$line, %esi
	mov	$5, %ecx
	rep	outsb
	incl	LIVES
	mov	LIVES, %eax
	add	$'0', %al
	out	%al, %dx
	mov	unset, %al		# .bss is zero in every life
	add	$'0', %al
	out	%al, %dx
	movb	$1, unset
	mov	$'\n', %al
	out	%al, %dx
	cmpl	$4, LIVES
	jae	1f
	mov	$6, %al
	mov	$0xcf9, %dx
	out	%al, %dx
	hlt
1:	power_off
	hlt
	.section .rodata
line:	.ascii "life "
	.bss
unset:	.skip 1
