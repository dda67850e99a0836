# Each vCPU says its APIC id and what CPUID tells it, a line for each leaf: function, index, EAX, EBX, ECX, EDX. The
# command line is one character, '0' and the number of vCPUs: the first waits for the others and powers off.
	.include "pvh.inc"
	.include "smp.inc"

	.equ INFO_CMDLINE, 24		# hvm_start_info
	.equ STACK_SIZE, 4096
	.equ MOST_VCPUS, 16

	.globl entry
entry:
	cld
	mov	$stacks + STACK_SIZE, %esp
	mov	INFO_CMDLINE(%ebx), %esi
	movzbl	(%esi), %ebp
	sub	$'0', %ebp
	call	report_in

	start_others

2:	pause
	cmp	%ebp, here
	jb	2b
	power_off
3:	hlt
	jmp	3b

# One vCPU at a time says what it is told, then counts itself in.
report_in:
	mov	$1, %eax
	lock
	xchg	%eax, talking
	test	%eax, %eax
	jz	1f
	pause
	jmp	report_in
1:	mov	$'v', %al
	call	print_char
	mov	$' ', %al
	call	print_char
	mov	LAPIC_ID, %eax
	shr	$24, %eax
	call	print_hex
	mov	$'\n', %al
	call	print_char
	mov	$leaves, %edi
2:	call	print_leaf
	add	$8, %edi
	cmp	$leaves_end, %edi
	jb	2b
	movl	$0, talking
	lock
	incl	here
	ret

# EDI: a function and an index.
print_leaf:
	mov	(%edi), %eax
	call	print_hex
	mov	4(%edi), %eax
	call	print_hex
	mov	(%edi), %eax
	mov	4(%edi), %ecx
	cpuid
	push	%edx
	push	%ecx
	push	%ebx
	call	print_hex
	pop	%eax
	call	print_hex
	pop	%eax
	call	print_hex
	pop	%eax
	call	print_hex
	mov	$'\n', %al
	jmp	print_char

# EAX as eight hexadecimal digits and a blank.
print_hex:
	mov	$8, %ecx
	mov	$COM1, %dx
1:	rol	$4, %eax
	push	%eax
	and	$0xf, %eax
	mov	digits(%eax), %al
	out	%al, %dx
	pop	%eax
	loop	1b
	mov	$' ', %al

print_char:
	mov	$COM1, %dx
	out	%al, %dx
	ret

# Real mode, CS = TRAMPOLINE >> 4: straight to flat protected mode.
	.code16
trampoline:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	gdt_pointer - trampoline
	mov	$0x11, %eax
	mov	%eax, %cr0
	ljmpl	$0x10, $other
gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	gdt
trampoline_end:
	.code32

other:
	mov	$0x18, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$1, %eax		# a stack for each, by order of arrival
	lock
	xadd	%eax, tickets
	imul	$STACK_SIZE, %eax
	lea	stacks + 2 * STACK_SIZE(%eax), %esp
	call	report_in
1:	cli
	hlt
	jmp	1b

	.section .rodata
digits:	.ascii "0123456789abcdef"
	.balign 4
leaves:
	.long 0, 0, 1, 0, 4, 0, 4, 3, 0xb, 0, 0xb, 1, 0xb, 2, 0x1f, 0, 0x1f, 1
	.long 0x80000001, 0, 0x80000002, 0, 0x80000003, 0, 0x80000004, 0, 0x80000008, 0, 0x8000000a, 0
	.long 0x8000001d, 0, 0x8000001d, 2, 0x8000001d, 3, 0x8000001e, 0, 0x80000026, 0
leaves_end:

	.data
	.balign 8
gdt:	.quad 0, 0
	.quad 0x00cf9b000000ffff	# 0x10: flat code
	.quad 0x00cf93000000ffff	# 0x18: flat data
gdt_end:
here:	.long 0
talking: .long 0
tickets: .long 0

	.bss
	.balign 16
stacks:	.skip STACK_SIZE * MOST_VCPUS
