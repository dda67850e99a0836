# Every vCPU says hello on the serial console; the first one also tells what the machine told it, wakes the others by
# INIT and start-up IPI, waits for them, and powers the machine off.
#
#   as --32 -I examples examples/hello.S -o hello.o && ld -m elf_i386 -T examples/payload.ld hello.o -o hello.elf

	.include "pvh.inc"
	.include "smp.inc"

	.equ INFO_CMDLINE, 24		# hvm_start_info, version 1
	.equ INFO_MEMMAP, 40
	.equ INFO_ENTRIES, 48
	.equ ENTRY_SIZE, 24		# hvm_memmap_table_entry
	.equ E820_RAM, 1

	.equ STACK_SIZE, 4096
	.equ MOST_VCPUS, 64

	.globl entry
entry:
	cld
	mov	$stacks + STACK_SIZE, %esp
	mov	%ebx, %ebp

	mov	$text_hello, %esi
	call	print
	mov	INFO_CMDLINE(%ebp), %esi
	call	print
	mov	$text_map, %esi
	call	print

	mov	INFO_MEMMAP(%ebp), %ebx
	mov	INFO_ENTRIES(%ebp), %edi
1:	call	print_entry
	add	$ENTRY_SIZE, %ebx
	dec	%edi
	jnz	1b

	call	report_in
	call	wake_others

	mov	$1, %eax		# CPUID leaf 1: EBX[23:16] is the number of vCPUs
	cpuid
	shr	$16, %ebx
	and	$0xff, %ebx
2:	pause
	cmp	%ebx, here
	jb	2b

	mov	$text_bye, %esi
	call	print
	power_off
3:	hlt
	jmp	3b

# EBX: a memory map entry.
print_entry:
	mov	$text_indent, %esi
	call	print
	mov	4(%ebx), %eax
	call	print_hex
	mov	(%ebx), %eax
	call	print_hex
	mov	$'-', %al
	call	print_char
	mov	(%ebx), %eax		# the last address: start + size - 1
	mov	4(%ebx), %edx
	add	8(%ebx), %eax
	adc	12(%ebx), %edx
	sub	$1, %eax
	sbb	$0, %edx
	push	%eax
	mov	%edx, %eax
	call	print_hex
	pop	%eax
	call	print_hex
	mov	$text_ram, %esi
	cmpl	$E820_RAM, 16(%ebx)
	je	1f
	mov	$text_reserved, %esi
1:	jmp	print

# One vCPU at a time says its number, then counts itself in.
report_in:
	mov	$1, %eax
	lock
	xchg	%eax, talking
	test	%eax, %eax
	jz	1f
	pause
	jmp	report_in
1:	mov	$text_vcpu, %esi
	call	print
	mov	LAPIC_ID, %eax
	shr	$24, %eax
	call	print_decimal
	mov	$text_says, %esi
	call	print
	movl	$0, talking
	lock
	incl	here
	ret

wake_others:
	start_others
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
	cmp	$MOST_VCPUS - 1, %eax
	jae	1f
	imul	$STACK_SIZE, %eax
	lea	stacks + 2 * STACK_SIZE(%eax), %esp
	call	report_in
1:	cli
	hlt
	jmp	1b

# ESI: a string that ends with 0.
print:
	mov	$COM1, %dx
1:	lodsb
	test	%al, %al
	jz	2f
	out	%al, %dx
	jmp	1b
2:	ret

print_char:
	mov	$COM1, %dx
	out	%al, %dx
	ret

# EAX as eight hexadecimal digits.
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
	ret

# EAX below 100 in decimal.
print_decimal:
	mov	$10, %cl
	div	%cl
	push	%eax
	test	%al, %al
	jz	1f
	add	$'0', %al
	call	print_char
1:	pop	%eax
	mov	%ah, %al
	add	$'0', %al
	jmp	print_char

	.section .rodata
text_hello:	.asciz "Hello from a guest of vmlaunch.\ncommand line: "
text_map:	.asciz "\nmemory map:\n"
text_indent:	.asciz "  "
text_ram:	.asciz "  RAM\n"
text_reserved:	.asciz "  reserved\n"
text_vcpu:	.asciz "vCPU "
text_says:	.asciz " says hello\n"
text_bye:	.asciz "all vCPUs are here; powering off\n"
digits:		.ascii "0123456789abcdef"

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
