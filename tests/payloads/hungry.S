# Touches each page of its first 128 MiB, speaks and powers off: the host has to have them by then.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$0x00400000, %edi
1:	movl	$1, (%edi)
	add	$4096, %edi
	cmp	$0x08000000, %edi
	jb	1b
	mov	$COM1, %dx
	mov	$'!', %al
	out	%al, %dx
	power_off
1:	hlt
	jmp	1b
