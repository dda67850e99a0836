# An undefined instruction without an interrupt descriptor table.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$stack, %esp
	lidt	nothing
	ud2
	.section .rodata
nothing: .word 0
	.long 0
	.bss
	.skip 256
stack:
