# Says that it is there and waits for interrupts, of which none comes: it could be woken at any time.
	.include "pvh.inc"
	.globl entry
entry:
	mov	$0xff, %al		# both PICs are masked
	out	%al, $0x21
	out	%al, $0xa1
	mov	$COM1, %dx
	mov	$'!', %al
	out	%al, %dx
1:	sti
	hlt
	jmp	1b
