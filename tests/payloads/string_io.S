# `rep outsb` says a line; `rep insb` reads the scratch register over and over and says what it read; then off.
	.include "pvh.inc"
	.globl entry
entry:
	cld
	mov	$COM1, %dx
	mov	$line, %esi
	mov	$line_end - line, %ecx
	rep	outsb

	mov	$COM1 + 7, %dx		# the scratch register
	mov	$'s', %al
	out	%al, %dx
	mov	$buffer, %edi
	mov	$3000, %ecx
	rep	insb

	mov	$COM1, %dx
	mov	$buffer, %esi
	mov	$3000, %ecx
	rep	outsb
	mov	$'\n', %al
	out	%al, %dx
	power_off
	hlt
	.section .rodata
line:	.ascii "said with rep outsb\n"
line_end:
	.bss
buffer:	.skip 4096
