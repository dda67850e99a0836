/* A 16550A on COM1 (National Semiconductor PC16550D data sheet). Output goes to a ring and never waits. */
#include "native.h"

enum { RX_TX = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCRATCH = 7 };
enum { IER_DATA = 0x01, IER_EMPTY = 0x02 };
enum { IIR_NONE = 0x01, IIR_EMPTY = 0x02, IIR_DATA = 0x04, IIR_FIFO = 0xc0 };
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10 };
enum { LSR_DATA = 0x01, LSR_IDLE = 0x60 };
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

void serial_create(struct serial *serial, int vm, int gsi)
{
	pthread_mutex_init(&serial->lock, NULL);
	serial->vm = vm;
	serial->gsi = gsi;
	serial->dll = 1; /* 115200 baud */
}

void serial_destroy(struct serial *serial)
{
	pthread_mutex_destroy(&serial->lock);
}

/* The host sends only while the guest asserts RTS: a driver that clears its FIFO while it starts loses nothing. */
static bool has_data(struct serial *serial)
{
	if (serial->mcr & MCR_LOOP)
		return serial->loop_count > 0;
	return serial->input && (serial->mcr & MCR_RTS) && !ring_empty(serial->input);
}

static void update_line(struct serial *serial)
{
	bool level = ((serial->ier & IER_DATA) && has_data(serial)) || ((serial->ier & IER_EMPTY) && serial->empty_pending);
	if (level == serial->level)
		return;
	serial->level = level;
	struct kvm_irq_level line = { .irq = serial->gsi, .level = level };
	ioctl(serial->vm, KVM_IRQ_LINE, &line);
}

static uint8_t take_data(struct serial *serial)
{
	uint8_t byte = 0;
	if (!has_data(serial))
		return byte;
	if (serial->mcr & MCR_LOOP) {
		byte = serial->loop[serial->loop_start];
		serial->loop_start = (serial->loop_start + 1) % sizeof serial->loop;
		serial->loop_count--;
		return byte;
	}
	if (ring_take(serial->input, serial->room_event, &byte))
		serial->read++;
	return byte;
}

static uint8_t identify(struct serial *serial)
{
	uint8_t fifo = serial->fcr & FCR_ENABLE ? IIR_FIFO : 0;
	if ((serial->ier & IER_DATA) && has_data(serial))
		return fifo | IIR_DATA;
	if ((serial->ier & IER_EMPTY) && serial->empty_pending) {
		serial->empty_pending = false; /* reading IIR acknowledges it */
		return fifo | IIR_EMPTY;
	}
	return fifo | IIR_NONE;
}

static uint8_t modem_status(struct serial *serial)
{
	uint8_t mcr = serial->mcr;
	if (!(mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) | (mcr & MCR_OUT1 ? MSR_RI : 0) |
	       (mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static uint8_t read_register(struct serial *serial, uint64_t offset)
{
	bool divisor = serial->lcr & LCR_DLAB;
	switch (offset) {
	case RX_TX:
		return divisor ? serial->dll : take_data(serial);
	case IER:
		return divisor ? serial->dlm : serial->ier;
	case IIR_FCR:
		return identify(serial);
	case LCR:
		return serial->lcr;
	case MCR:
		return serial->mcr;
	case LSR:
		return LSR_IDLE | (has_data(serial) ? LSR_DATA : 0);
	case MSR:
		return modem_status(serial);
	default:
		return serial->scratch;
	}
}

static void send(struct serial *serial, uint8_t byte)
{
	if (serial->mcr & MCR_LOOP) {
		if (serial->loop_count < sizeof serial->loop)
			serial->loop[(serial->loop_start + serial->loop_count++) % sizeof serial->loop] = byte;
	} else if (serial->output) {
		ring_overwrite(serial->output, serial->output_event, byte);
		serial->written++;
	}
	serial->empty_pending = true;
}

static void write_register(struct serial *serial, uint64_t offset, uint8_t value)
{
	bool divisor = serial->lcr & LCR_DLAB;
	switch (offset) {
	case RX_TX:
		if (divisor)
			serial->dll = value;
		else
			send(serial, value);
		break;
	case IER:
		if (divisor) {
			serial->dlm = value;
			break;
		}
		if (value & ~serial->ier & IER_EMPTY)
			serial->empty_pending = true; /* enabling it while the transmitter is empty raises it */
		serial->ier = value & 0x0f;
		break;
	case IIR_FCR:
		serial->fcr = value;
		if (value & FCR_CLEAR_RX)
			serial->loop_count = 0;
		break;
	case LCR:
		serial->lcr = value;
		break;
	case MCR:
		serial->mcr = value & 0x1f;
		break;
	case SCRATCH:
		serial->scratch = value;
		break;
	}
}

uint8_t serial_read(struct serial *serial, uint64_t offset)
{
	pthread_mutex_lock(&serial->lock);
	uint8_t value = read_register(serial, offset);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
	return value;
}

void serial_write(struct serial *serial, uint64_t offset, uint8_t value)
{
	pthread_mutex_lock(&serial->lock);
	write_register(serial, offset, value);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
}

/* There may be new bytes in the input ring. */
void serial_input(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
}
