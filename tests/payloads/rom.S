# A firmware of 64 KiB: from the reset vector to 32-bit protected mode with flat segments, then main(). Its stack is RAM.
	.section .reset, "ax"
	.code16
	.globl _start
_start:
	jmp	begin
	.fill	13, 1, 0x90

	.section .start, "ax"
begin:
	cli
	lgdtl	%cs:(gdt_pointer - begin + 0xf000)
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$8, $flat
	.code32
flat:
	mov	$16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x80000, %esp
	cld
	call	main
1:	hlt
	jmp	1b

	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.section .note.GNU-stack, "", @progbits
