# Where a payload written in C begins: a stack, and the command line as the only argument of main().
	.include "pvh.inc"
	.equ INFO_CMDLINE, 24		# hvm_start_info
	.equ STACK_SIZE, 16384

	.globl entry
entry:
	cld
	mov	$stack + STACK_SIZE, %esp
	push	INFO_CMDLINE(%ebx)
	call	main
	power_off
1:	hlt
	jmp	1b

	.bss
	.balign 16
stack:	.skip STACK_SIZE

	.section .note.GNU-stack, "", @progbits
