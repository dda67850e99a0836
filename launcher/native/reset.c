/* The two ports by which a PC's guest resets its machine: the keyboard controller's, and the reset control register. */
#include "native.h"

enum { PULSE_RESET = 0xfe, RESET_CPU = 0x04 };

/* Of the 8042 there is only its status: 0, the input buffer is free. All ones would keep a rebooting guest waiting. */
uint8_t keyboard_read(void)
{
	return 0;
}

/* 0 or EVENT_RESET: command 0xfe pulses the reset line. */
int keyboard_write(uint8_t command)
{
	return command == PULSE_RESET ? EVENT_RESET : 0;
}

/* 0 or EVENT_RESET, of a write to RESET_CONTROL (PIIX reset control register): bit 2 resets the CPU. */
int reset_control_write(uint8_t value)
{
	return value & RESET_CPU ? EVENT_RESET : 0;
}
