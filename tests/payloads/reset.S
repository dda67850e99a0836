# Asks the keyboard controller for a reset.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$0xfe, %al
	out	%al, $0x64
	hlt
