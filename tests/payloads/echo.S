# Asserts RTS, then sends back what it reads until a full stop; then off.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$COM1 + 4, %dx		# modem control: DTR, RTS
	mov	$3, %al
	out	%al, %dx
1:	mov	$COM1 + 5, %dx		# line status
	in	%dx, %al
	test	$1, %al
	jz	1b
	mov	$COM1, %dx
	in	%dx, %al
	out	%al, %dx
	cmp	$'.', %al
	jne	1b
	power_off
	hlt
