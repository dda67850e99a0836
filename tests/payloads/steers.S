# Says what steers a terminal: its title, its clipboard, a wiped screen, what it is to answer; C1, a lone carriage
# return, text turned round; and what must stay as it is. Then it powers off.
	.include "pvh.inc"
	.globl entry
entry:
	cld
	mov	$COM1, %dx
	mov	$text, %esi
	mov	$length, %ecx
	rep outsb
	power_off
1:	jmp 1b

	.section .rodata
text:
	.ascii	"title \033]0;set by the guest\007 clipboard \033]52;c;cm0gLXJmIH4K\007\r\n"
	.ascii	"\033[2J\033[6n wiped\tasked\r\r\n"
	.ascii	"C1 \302\233\062J raw \233\062J turned \342\200\256txet\n"
	.ascii	"password: \rnothing\n"
	.ascii	"stays: \303\244 \346\274\242 \360\237\232\200\n"
	.equ	length, . - text
