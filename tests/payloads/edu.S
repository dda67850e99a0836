# Drives QEMU's `edu` device (its docs/specs/edu.rst) at 00:10.0: registers, DMA to RAM and beyond it, INTx, MSI, and
# INTx again. Says one line for each; what does not come it waits for, so that the last line tells how far it got.
	.include "pvh.inc"
	.equ FUNCTION, 0x80008000	# 00:10.0 for CONFIG_ADDRESS
	.equ BEYOND, 128 << 20		# no RAM of this VM
	.equ BUFFER, 0x40000		# the device's own memory, as its DMA engine names it
	.equ SIZE, 2048
	.equ IO_APIC, 0xfec00000
	.equ LOCAL_APIC, 0xfee00000
	.equ LINE, 16			# the GSI of slot 10, pin A
	.equ INTX_VECTOR, 0x30
	.equ MSI_VECTOR, 0x31
	.equ CODE, 8

	.macro say text
	.section .rodata
771:	.asciz "edu: \text\n"
	.text
	mov	$771b, %esi
	call	print
	.endm

	.macro config_read register	# into EAX
	mov	$FUNCTION + \register, %eax
	call	select
	in	%dx, %eax
	.endm

	.macro dma from, to, command	# the command's bit 0 is cleared when it is done
	movl	$\from, 0x80(%ebx)
	movl	$\to, 0x88(%ebx)
	movl	$SIZE, 0x90(%ebx)
	movl	$\command, 0x98(%ebx)
772:	testl	$1, 0x98(%ebx)
	jnz	772b
	.endm

	.macro wait_for counter, value
773:	cmpl	$\value, \counter
	jb	773b
	jne	wrong
	.endm

	.globl entry
entry:
	cld
	mov	$stack, %esp
	lgdt	gdt_pointer
	ljmp	$CODE, $1f
1:	mov	$CODE + 8, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss

	config_read 0
	cmp	$0x11e81234, %eax
	jne	wrong
	config_read 4
	or	$6, %eax		# memory, bus master
	out	%eax, %dx
	config_read 0x10
	and	$~0xf, %eax
	mov	%eax, %ebx		# from here on: the device's registers
	cmpl	$0x010000ed, (%ebx)
	jne	wrong
	movl	$0x12345678, 4(%ebx)
	cmpl	$~0x12345678, 4(%ebx)
	jne	wrong
	say	"registers ok"

	mov	$source, %edi
	mov	$SIZE / 4, %ecx
2:	lea	0x5a000000(%ecx), %eax
	stosl
	loop	2b
	dma	source, BUFFER, 1
	dma	BUFFER, target, 3
	mov	$source, %esi
	mov	$target, %edi
	mov	$SIZE / 4, %ecx
	repe	cmpsl
	jne	wrong
	say	"dma ok"
	call	beyond

	call	prepare_interrupts
	movl	$1, late		# acknowledged by the second interrupt: the line is still up after the first's end
	movl	$1, 0x60(%ebx)
	wait_for intx, 2
	say	"intx 2 of one raise"
	movl	$1, 0x60(%ebx)
	wait_for intx, 3
	say	"intx 3"

	call	find_msi
	call	msi_on
	movl	$1, 0x60(%ebx)
	wait_for msi, 1
	movl	$2, 0x60(%ebx)
	wait_for msi, 2
	say	"msi 2"
	dma	source, BUFFER, 5	# it says by an interrupt that it is done
	wait_for msi, 3
	cmpl	$0x100, status
	jne	wrong
	say	"msi 3 from dma"
	call	msi_off
	movl	$4, 0x60(%ebx)
	wait_for intx, 4
	say	"intx 4 after msi"
	power_off
	hlt
wrong:	say	"wrong"
	power_off
	hlt

# A read and a write where the VM has no RAM: neither the device's buffer nor RAM gets what may be there.
beyond:	dma	source, BUFFER, 1
	dma	BEYOND, BUFFER, 1
	dma	BUFFER, target, 3
	mov	$source, %esi
	mov	$target, %edi
	mov	$SIZE / 4, %ecx
3:	lodsl
	scasl				# either as it was
	je	4f
	cmpl	$0, -4(%edi)		# or what a device reads where nobody answers
	je	4f
	cmpl	$-1, -4(%edi)
	jne	wrong
4:	loop	3b
	dma	BUFFER, BEYOND, 3
	say	"dma beyond ram brings nothing"
	ret

# No interrupts but those of the device: 8259s masked, local APIC on, one entry of the IO-APIC, level-triggered.
prepare_interrupts:
	mov	$0xff, %al
	out	%al, $0x21
	out	%al, $0xa1
	mov	$INTX_VECTOR, %edi
	mov	$on_intx, %eax
	call	gate
	mov	$MSI_VECTOR, %edi
	mov	$on_msi, %eax
	call	gate
	lidt	idt_pointer
	movl	$0x1ff, LOCAL_APIC + 0xf0
	movl	$0x10 + 2 * LINE + 1, IO_APIC
	movl	$0, IO_APIC + 0x10
	movl	$0x10 + 2 * LINE, IO_APIC
	movl	$0xa000 + INTX_VECTOR, IO_APIC + 0x10	# level, active low
	sti
	ret

# EDI: vector, EAX: handler.
gate:	movw	%ax, idt(, %edi, 8)
	movw	$CODE, idt + 2(, %edi, 8)
	movw	$0x8e00, idt + 4(, %edi, 8)
	shr	$16, %eax
	movw	%ax, idt + 6(, %edi, 8)
	ret

on_intx:
	push	%eax
	incl	intx
	cmpl	$0, late
	movl	$0, late
	jne	5f
	mov	0x24(%ebx), %eax
	mov	%eax, 0x64(%ebx)
	mov	0x24(%ebx), %eax	# the write is there before the end of the interrupt is
5:	movl	$0, LOCAL_APIC + 0xb0
	pop	%eax
	iret

on_msi:	push	%eax
	mov	0x24(%ebx), %eax
	mov	%eax, status
	mov	%eax, 0x64(%ebx)
	incl	msi
	movl	$0, LOCAL_APIC + 0xb0
	pop	%eax
	iret

# Its capability: CONFIG_ADDRESS of it into EBP.
find_msi:
	config_read 0x34
	movzbl	%al, %ebp
6:	test	%ebp, %ebp
	jz	wrong
	add	$FUNCTION, %ebp
	mov	%ebp, %eax
	call	select
	in	%dx, %eax
	cmp	$5, %al
	je	7f
	movzbl	%ah, %ebp
	jmp	6b
7:	ret

# A message for 64 bits of address: the address in two words, then the data.
msi_on:	lea	4(%ebp), %eax
	call	select
	mov	$LOCAL_APIC, %eax
	out	%eax, %dx
	lea	8(%ebp), %eax
	call	select
	xor	%eax, %eax
	out	%eax, %dx
	lea	12(%ebp), %eax
	call	select
	mov	$MSI_VECTOR, %eax
	out	%eax, %dx
	mov	%ebp, %eax
	call	select
	in	%dx, %eax
	or	$0x10000, %eax
	out	%eax, %dx
	ret
msi_off:
	mov	%ebp, %eax
	call	select
	in	%dx, %eax
	and	$~0x10000, %eax
	out	%eax, %dx
	ret

# EAX: CONFIG_ADDRESS. DX is CONFIG_DATA then.
select:	mov	$0xcf8, %dx
	out	%eax, %dx
	mov	$0xcfc, %dx
	ret

print:	mov	$COM1, %dx
8:	lodsb
	test	%al, %al
	jz	9f
	out	%al, %dx
	jmp	8b
9:	ret

	.section .rodata
	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer: .word . - gdt - 1
	.long	gdt
idt_pointer: .word 0x40 * 8 - 1
	.long	idt
	.bss
	.balign	4096
source:	.skip	SIZE
target:	.skip	SIZE
idt:	.skip	0x40 * 8
intx:	.skip	4
msi:	.skip	4
late:	.skip	4
status:	.skip	4
	.skip	4096
stack:
