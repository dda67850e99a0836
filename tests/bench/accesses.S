# How long do accesses take that leave the guest? Of each kind so many in a row, each by the time stamp counter. Says for
# each kind its name, then median, 99.9th percentile and longest, in ticks, as hexadecimal numbers.
	.include "pvh.inc"
	.ifndef COUNT			# else it is a million, of the serial port alone
	.equ COUNT, 20000
	.equ ALL, 1
	.endif
	.equ WARM_UP, 1000
	.equ SHIFT, 4			# a bucket of the histogram is 16 ticks
	.equ BUCKETS, 1 << 20
	.equ LSR, 0x3fd
	.equ UNCLAIMED, 0x240		# a port that nobody serves
	.equ FUNCTION, 0x80008000	# 00:10.0, for CONFIG_ADDRESS
	.equ OFFSET, 0x40		# in its first BAR of memory: the rtl8139's TxConfig, which reading does not change

	.macro times name, access:vararg
	mov	$WARM_UP, %ebp
	call	7f
	call	clear
	mov	$COUNT, %ebp
	call	7f
	mov	$\name, %esi
	call	tell
	jmp	9f
7:	rdtsc
	mov	%eax, %esi
	\access
	rdtsc
	sub	%esi, %eax
	call	note
	dec	%ebp
	jnz	7b
	ret
9:
	.endm

	.macro port number
	mov	$\number, %dx
	in	%dx, %al
	.endm

	.globl entry
entry:
	cld
	mov	$stack, %esp
	.ifdef ALL
	times	text_empty, port UNCLAIMED
	.endif
	times	text_serial, port LSR
	call	find_bar
	test	%edi, %edi
	jz	1f
	times	text_bar, mov OFFSET(%edi), %eax
1:	mov	$text_done, %esi
	call	print
	power_off
2:	hlt
	jmp	2b

# EAX: ticks of one access.
note:	cmp	longest, %eax
	jbe	1f
	mov	%eax, longest
1:	shr	$SHIFT, %eax
	cmp	$BUCKETS, %eax
	jb	2f
	mov	$BUCKETS - 1, %eax
2:	incl	buckets(, %eax, 4)
	ret

clear:	push	%edi
	movl	$0, longest
	mov	$buckets, %edi
	mov	$BUCKETS, %ecx
	xor	%eax, %eax
	rep	stosl
	pop	%edi
	ret

# ESI: the name of what was measured.
tell:	call	print
	mov	$COUNT / 2, %ecx
	call	quantile
	call	print_hex
	mov	$COUNT / 1000 * 999, %ecx
	call	quantile
	call	print_hex
	mov	longest, %eax
	call	print_hex
	mov	$text_end, %esi
	jmp	print

# EAX: the ticks that ECX of the accesses did not exceed.
quantile:
	xor	%eax, %eax
1:	sub	buckets(, %eax, 4), %ecx
	jbe	2f
	inc	%eax
	jmp	1b
2:	shl	$SHIFT, %eax
	ret

# EDI: where the function's first BAR of memory is, or 0.
find_bar:
	xor	%edi, %edi
	mov	$0x10, %ecx
1:	call	config
	test	$1, %al
	jnz	2f
	and	$~15, %eax
	jnz	3f
2:	add	$4, %ecx
	cmp	$0x28, %ecx
	jb	1b
	ret
3:	cmp	$~15, %eax		# nobody there
	je	4f
	mov	%eax, %edi
	mov	$4, %ecx
	call	config
	or	$2, %eax		# it decodes memory
	out	%eax, %dx
4:	ret

# ECX: a register of the function -> EAX; EDX: the port to write it by.
config:	lea	FUNCTION(%ecx), %eax
	mov	$0xcf8, %dx
	out	%eax, %dx
	mov	$0xcfc, %dx
	in	%dx, %eax
	ret

print:	mov	$COM1, %dx
1:	lodsb
	test	%al, %al
	jz	2f
	out	%al, %dx
	jmp	1b
2:	ret

# EAX, behind a space.
print_hex:
	push	%eax
	mov	$text_space, %esi
	call	print
	pop	%ebx
	mov	$8, %ecx
1:	rol	$4, %ebx
	mov	%ebx, %eax
	and	$0xf, %eax
	mov	digits(%eax), %al
	out	%al, %dx
	loop	1b
	ret

	.section .rodata
text_empty:	.asciz "ticks empty"
text_serial:	.asciz "ticks serial"
text_bar:	.asciz "ticks bar"
text_space:	.asciz " "
text_end:	.asciz "\n"
text_done:	.asciz "ticks done\n"
digits:		.ascii "0123456789abcdef"
	.bss
	.balign	64
buckets: .skip	BUCKETS * 4
longest: .skip	4
	.skip	4096
stack:
