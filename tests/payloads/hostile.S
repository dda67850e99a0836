# A guest that means no good. The command line is COUNT SEED, in decimal: so many random accesses to the functions at
# 00:10.0 to 00:13.0 (at least one is there), to configuration space by ports and ECAM, to BARs, MSI-X table and pending
# bits. Now and then it puts a function's BARs to places of its own and wakes it, so that accesses reach the device.
# Tells every 1000 how many.
	.include "pvh.inc"
	.equ INFO_CMDLINE, 24		# hvm_start_info
	.equ ECAM, 0xfed00000
	.equ FIRST, 0x10		# the slot
	.equ FUNCTIONS, 4
	.equ MEMORY_PLACE, 0xc1000000	# 16 MiB for each function, 1 MiB for each BAR
	.equ PORT_PLACE, 0xc000		# 0x1000 and 0x100
	.equ EDU, 0x11e81234
	.equ EDU_DMA, 0x90		# a transfer beyond its buffer ends the emulator: these 16 bytes are left alone
	.equ E1000E, 0x10d38086
	.equ E1000E_ITR, 0xc0		# 16 bytes, and 32: a throttle that runs while MSI-X comes or goes ends the emulator
	.equ E1000E_EITR, 0xe0

	.equ ID, 0			# what is kept of a function
	.equ CONFIG, 4			# for CONFIG_ADDRESS
	.equ EXTENDED, 8		# its page of ECAM
	.equ MEMORY, 12
	.equ PORTS, 16
	.equ POWER, 20			# power management capability, or 0
	.equ TABLE, 24			# as its MSI-X capability has them, or 0
	.equ PENDING, 28
	.equ CONTROLS, 32		# two before its command register, and its capabilities MSI and MSI-X
	.equ KINDS, 48			# of its BARs: none, ports or memory
	.equ SIZE, 64
	.equ NO_BAR, 0
	.equ PORT_BAR, 1
	.equ MEMORY_BAR, 2

	.globl entry
entry:
	cld
	mov	$stack, %esp
	mov	INFO_CMDLINE(%ebx), %esi
	call	number
	mov	%eax, count
	call	number
	lea	1(%eax, %eax), %eax	# never 0
	mov	%eax, seed
	call	find_functions
1:	mov	done, %eax
	cmp	count, %eax
	jae	2f
	call	attack
	incl	done
	mov	done, %eax
	xor	%edx, %edx
	mov	$1000, %ecx
	div	%ecx
	test	%edx, %edx
	jnz	1b
	call	tell
	jmp	1b
2:	call	tell
	power_off
	hlt

# One access, to a function that is there.
attack:	call	random
	and	$FUNCTIONS - 1, %eax
	imul	$SIZE, %eax
	lea	functions(%eax), %edi
	cmpl	$-1, ID(%edi)
	je	attack
	call	random
	and	$15, %eax
	jmp	*attacks(, %eax, 4)

	.section .rodata
attacks:
	.long	by_ports, by_ports, by_ports, by_ecam, by_ecam, by_ecam, control, place
	.long	bar, bar, bar, bar, msix, msix, control, place
	.text

# -- configuration space

by_ports:
	call	offset
	and	$0xff, %eax
	mov	%eax, %ebx
	call	select
	and	$3, %ebx
	lea	0xcfc(%ebx), %edx
	jmp	access_port
by_ecam:
	call	offset
	mov	EXTENDED(%edi), %ebx
	add	%eax, %ebx
	jmp	access_memory
control:				# the command register, or that of MSI or MSI-X
	call	random
	and	$3, %eax
	mov	CONTROLS(%edi, %eax, 4), %eax
	add	$2, %eax
	mov	%eax, %ebx
	call	select
	and	$2, %ebx
	add	%ebx, %edx
	call	random
	out	%ax, %dx
	ret

# Of a register, often of the header or a capability: EAX.
offset:	call	random
	mov	%eax, %edx
	and	$0xfff, %eax
	test	$0x10000, %edx
	jz	1f
	and	$0xff, %eax
	test	$0x20000, %edx
	jz	1f
	and	$0x3f, %eax
1:	ret

# EAX: register of EDI's function. EDX is CONFIG_DATA then.
select:	add	CONFIG(%edi), %eax
	and	$~3, %eax
	mov	$0xcf8, %edx
	out	%eax, %dx
	mov	$0xcfc, %edx
	ret

# EAX: register -> EAX: what is there.
config_read:
	call	select
	in	%dx, %eax
	ret

# -- BARs

# A BAR that is there: ECX. Zero flag: it is of ports.
choose:	call	random
	xor	%edx, %edx
	mov	$6, %ecx
	div	%ecx
	mov	%edx, %ecx
	cmpb	$NO_BAR, KINDS(%edi, %ecx)
	je	choose
	cmpb	$PORT_BAR, KINDS(%edi, %ecx)
	ret

bar:	call	choose
	je	2f
	shl	$20, %ecx
	mov	MEMORY(%edi), %ebx
	add	%ecx, %ebx
	call	random
	mov	%eax, %ecx
	shr	$30, %ecx
	and	masks(, %ecx, 4), %eax
	mov	%eax, %edx
	and	$~15, %edx
	cmpl	$EDU, ID(%edi)
	jne	4f
	cmp	$EDU_DMA, %edx
	je	3f
4:	cmpl	$E1000E, ID(%edi)
	jne	1f
	cmp	$E1000E_ITR, %edx
	je	3f
	and	$~31, %edx
	cmp	$E1000E_EITR, %edx
	je	3f
1:	add	%eax, %ebx
	jmp	access_memory
2:	shl	$8, %ecx
	mov	PORTS(%edi), %ebx
	add	%ecx, %ebx
	call	random
	movzbl	%al, %edx
	add	%ebx, %edx
	jmp	access_port
3:	ret

	.section .rodata
masks:	.long	0xff, 0xff, 0x3fff, 0x1ffff	# offsets: from a few registers to the largest BAR
	.text

msix:	call	random
	and	$1, %eax
	mov	TABLE(%edi, %eax, 4), %ecx
	test	%ecx, %ecx
	jz	bar
	mov	%ecx, %ebx
	and	$~7, %ebx
	and	$7, %ecx
	shl	$20, %ecx
	add	%ecx, %ebx
	add	MEMORY(%edi), %ebx
	call	random
	and	$0x7ff, %eax
	add	%eax, %ebx
	jmp	access_memory

# Its BARs where the other accesses go, awake and listening.
place:	xor	%ecx, %ecx
1:	lea	0x10(, %ecx, 4), %eax
	call	select
	mov	%ecx, %eax
	shl	$20, %eax
	add	MEMORY(%edi), %eax
	cmpb	$MEMORY_BAR, KINDS(%edi, %ecx)
	je	2f
	mov	%ecx, %eax
	shl	$8, %eax
	add	PORTS(%edi), %eax
	cmpb	$PORT_BAR, KINDS(%edi, %ecx)
	je	2f
	xor	%eax, %eax		# the upper half of one, or none
2:	out	%eax, %dx
	inc	%ecx
	cmp	$6, %ecx
	jb	1b
	mov	POWER(%edi), %eax
	test	%eax, %eax
	jz	3f
	add	$4, %eax
	call	select
	xor	%eax, %eax
	out	%ax, %dx
3:	mov	$4, %eax
	call	select
	call	random
	and	$4, %eax		# a bus master or not
	or	$3, %eax
	out	%ax, %dx
	ret

# -- accesses of a random width, reads and writes

access_memory:				# at EBX
	call	random
	and	$7, %eax
	mov	%eax, %ecx
	call	value
	jmp	*memory(, %ecx, 4)
access_port:				# DX
	call	random
	and	$7, %eax
	mov	%eax, %ecx
	call	value
	jmp	*port(, %ecx, 4)

	.section .rodata
memory:	.long	1f, 2f, 3f, 3f, 4f, 5f, 6f, 6f
port:	.long	7f, 8f, 9f, 9f, 10f, 11f, 12f, 12f
	.text
1:	mov	(%ebx), %al
	ret
2:	mov	(%ebx), %ax
	ret
3:	mov	(%ebx), %eax
	ret
4:	mov	%al, (%ebx)
	ret
5:	mov	%ax, (%ebx)
	ret
6:	mov	%eax, (%ebx)
	ret
7:	in	%dx, %al
	ret
8:	in	%dx, %ax
	ret
9:	in	%dx, %eax
	ret
10:	out	%al, %dx
	ret
11:	out	%ax, %dx
	ret
12:	out	%eax, %dx
	ret

# EAX: random, zeros or ones.
value:	call	random
	push	%eax
	call	random
	shr	$29, %eax
	jnz	1f
	movl	$0, (%esp)
1:	dec	%eax
	jnz	2f
	movl	$-1, (%esp)
2:	pop	%eax
	ret

# EAX, and nothing else, changes: xorshift.
random:	push	%ecx
	mov	seed, %eax
	mov	%eax, %ecx
	shl	$13, %ecx
	xor	%ecx, %eax
	mov	%eax, %ecx
	shr	$17, %ecx
	xor	%ecx, %eax
	mov	%eax, %ecx
	shl	$5, %ecx
	xor	%ecx, %eax
	mov	%eax, seed
	pop	%ecx
	ret

# -- before it begins

find_functions:
	mov	$functions, %edi
	xor	%ebp, %ebp
1:	lea	FIRST(%ebp), %eax
	shl	$11, %eax
	or	$0x80000000, %eax
	mov	%eax, CONFIG(%edi)
	lea	FIRST(%ebp), %eax
	shl	$15, %eax
	add	$ECAM, %eax
	mov	%eax, EXTENDED(%edi)
	mov	%ebp, %eax
	shl	$24, %eax
	add	$MEMORY_PLACE, %eax
	mov	%eax, MEMORY(%edi)
	mov	%ebp, %eax
	shl	$12, %eax
	add	$PORT_PLACE, %eax
	mov	%eax, PORTS(%edi)
	xor	%eax, %eax
	call	config_read
	mov	%eax, ID(%edi)
	cmp	$-1, %eax
	je	2f
	movl	$2, CONTROLS(%edi)
	movl	$2, CONTROLS + 4(%edi)
	movl	$2, CONTROLS + 8(%edi)
	movl	$2, CONTROLS + 12(%edi)
	call	find_bars
	call	find_capabilities
2:	add	$SIZE, %edi
	inc	%ebp
	cmp	$FUNCTIONS, %ebp
	jb	1b
	ret

# Those that are there have been given a place.
find_bars:
	xor	%ecx, %ecx
1:	lea	0x10(, %ecx, 4), %eax
	call	config_read
	mov	$NO_BAR, %dl
	test	%eax, %eax
	jz	2f
	mov	$PORT_BAR, %dl
	test	$1, %eax
	jnz	2f
	mov	$MEMORY_BAR, %dl
2:	mov	%dl, KINDS(%edi, %ecx)
	shr	$1, %eax		# of 64 bits: the next register is its upper half
	and	$3, %eax
	cmp	$2, %eax
	jne	3f
	cmp	$MEMORY_BAR, %dl
	jne	3f
	inc	%ecx
3:	inc	%ecx
	cmp	$6, %ecx
	jb	1b
	ret

find_capabilities:
	mov	$0x34, %eax
	call	config_read
	movzbl	%al, %ebx
1:	test	%ebx, %ebx
	jz	4f
	mov	%ebx, %eax
	call	config_read
	cmp	$1, %al
	jne	2f
	mov	%ebx, POWER(%edi)
2:	cmp	$5, %al
	jne	5f
	mov	%ebx, CONTROLS + 4(%edi)
5:	cmp	$0x11, %al
	jne	3f
	mov	%ebx, CONTROLS + 8(%edi)
	push	%eax
	lea	4(%ebx), %eax
	call	config_read
	mov	%eax, TABLE(%edi)
	lea	8(%ebx), %eax
	call	config_read
	mov	%eax, PENDING(%edi)
	pop	%eax
3:	movzbl	%ah, %ebx
	jmp	1b
4:	ret

# ESI: text -> EAX: the decimal number there, and ESI behind it and one character.
number:	xor	%eax, %eax
1:	movzbl	(%esi), %ecx
	inc	%esi
	sub	$'0', %ecx
	cmp	$9, %ecx
	ja	2f
	imul	$10, %eax
	add	%ecx, %eax
	jmp	1b
2:	ret

tell:	mov	$text, %esi
	call	print
	mov	done, %eax
	mov	$digits_end, %esi
	mov	$10, %ecx
1:	xor	%edx, %edx
	div	%ecx
	add	$'0', %dl
	dec	%esi
	mov	%dl, (%esi)
	test	%eax, %eax
	jnz	1b
	call	print
	mov	$text_end, %esi
print:	mov	$COM1, %dx
1:	lodsb
	test	%al, %al
	jz	2f
	out	%al, %dx
	jmp	1b
2:	ret

	.section .rodata
text:	.asciz	"hostile: "
text_end: .asciz " accesses\n"
	.data
digits:	.skip	10
digits_end: .byte 0
	.bss
	.balign	64
functions: .skip SIZE * FUNCTIONS
count:	.skip	4
seed:	.skip	4
done:	.skip	4
	.skip	4096
stack:
