# Reads a register of the first PCI function, asks by the reset control register, which is next to that, for a reset, once,
# and does nothing else.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$0x80000000, %eax
	mov	$0xcf8, %dx
	out	%eax, %dx
	mov	$0xcfc, %dx
	in	%dx, %eax
	mov	$6, %al
	mov	$0xcf9, %dx
	out	%al, %dx
1:	jmp	1b
