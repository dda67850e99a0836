# Reads and writes what nobody answers for: ports and memory. Says what it read: all ones, so 0xff as text; then off.
	.include "pvh.inc"
	.equ NOBODY, 0xd0000000
	.globl entry
entry:
	mov	$stack, %esp
	mov	$0x1234, %dx
	in	%dx, %eax
	call	say
	in	%dx, %al
	out	%al, %dx
	out	%eax, %dx
	mov	NOBODY, %eax
	call	say
	movzwl	NOBODY + 2, %eax
	call	say
	movl	$1, NOBODY
	movb	$1, NOBODY + 7
	power_off
	hlt
say:	push	%edx
	mov	$8, %ecx
	mov	$COM1, %dx
1:	rol	$4, %eax
	push	%eax
	and	$0xf, %eax
	mov	digits(%eax), %al
	out	%al, %dx
	pop	%eax
	loop	1b
	mov	$'\n', %al
	out	%al, %dx
	pop	%edx
	ret
	.section .rodata
digits:	.ascii "0123456789abcdef"
	.bss
	.skip 256
stack:
