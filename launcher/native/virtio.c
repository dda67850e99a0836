/* The registers of a virtio function (virtio 1.2, 4.1.4; modern only), as its driver sets it up. Nobody reads its queues
 * here: an engine works on them, and a write from which something follows for that is done by who can tell it. */
#include "native.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

enum { PAGE = 4096, MOST_SIZE = 256 };
enum {
	SETTABLE = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK
		   | VIRTIO_CONFIG_S_FAILED,
	RUNS = VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET,
};

/* All as at first. */
static void clear(struct virtio *virtio)
{
	virtio->state = (struct virtio_state){ .config_vector = VIRTIO_MSI_NO_VECTOR };
	virtio->offered_half = virtio->wanted_half = virtio->selected = virtio->isr = 0;
	for (uint32_t n = 0; n < virtio->count; n++)
		virtio->queues[n] = (struct virtio_queue){ .size = MOST_SIZE, .vector = VIRTIO_MSI_NO_VECTOR };
}

int virtio_create(struct virtio *virtio, uint64_t offered, uint32_t queues, const uint8_t *config, uint32_t size)
{
	if (!queues || queues > VIRTIO_MOST_QUEUES || size > sizeof virtio->config)
		return -EINVAL;
	pthread_mutex_init(&virtio->lock, NULL);
	virtio->offered = offered;
	virtio->count = queues;
	memcpy(virtio->config, config, size);
	clear(virtio);
	return 0;
}

/* NULL: the driver has selected one that is not there. */
static struct virtio_queue *selected(struct virtio *virtio)
{
	return virtio->selected < virtio->count ? &virtio->queues[virtio->selected] : NULL;
}

static uint32_t half(uint64_t features, uint32_t which)
{
	return which < 2 ? features >> 32 * which : 0;
}

static struct virtio_pci_common_cfg common(struct virtio *virtio)
{
	const struct virtio_state *state = &virtio->state;
	const struct virtio_queue *queue = selected(virtio), none = { .vector = VIRTIO_MSI_NO_VECTOR };
	struct virtio_pci_common_cfg common = {
		.device_feature_select = virtio->offered_half,
		.device_feature = half(virtio->offered, virtio->offered_half),
		.guest_feature_select = virtio->wanted_half,
		.guest_feature = half(state->features, virtio->wanted_half),
		.msix_config = state->config_vector,
		.num_queues = virtio->count,
		.device_status = state->status,
		.queue_select = virtio->selected,
		.queue_notify_off = queue ? virtio->selected : 0,
	};
	queue = queue ? queue : &none;
	common.queue_size = queue->size;
	common.queue_msix_vector = queue->vector;
	common.queue_enable = queue->enabled;
	memcpy(&common.queue_desc_lo, queue->areas, sizeof queue->areas);
	return common;
}

/* `size` bytes at `at`; behind the end there are zeroes. */
static uint64_t bytes_of(const void *bytes, uint32_t length, uint32_t at, uint32_t size)
{
	uint64_t value = 0;
	if (at < length)
		memcpy(&value, (const uint8_t *)bytes + at, size < length - at ? size : length - at);
	return value;
}

static uint64_t read_register(struct virtio *virtio, uint32_t page, uint32_t at, uint32_t size)
{
	uint64_t value = 0;
	if (page == VIRTIO_COMMON) {
		struct virtio_pci_common_cfg now = common(virtio);
		value = bytes_of(&now, sizeof now, at, size);
	} else if (page == VIRTIO_CONFIG) {
		value = bytes_of(virtio->config, sizeof virtio->config, at, size);
	} else if (page == VIRTIO_ISR && !at) {
		value = virtio->isr;
		virtio->isr = 0;
	}
	return value;
}

uint64_t virtio_read(struct virtio *virtio, uint32_t offset, uint32_t size)
{
	if (size > sizeof(uint64_t))
		return UINT64_MAX;
	pthread_mutex_lock(&virtio->lock);
	uint64_t value = read_register(virtio, offset & ~(PAGE - 1), offset % PAGE, size);
	pthread_mutex_unlock(&virtio->lock);
	return value;
}

/* Bits are only ever set (2.1.1), and FEATURES_OK by a driver that may use what it has chosen. */
static uint8_t next_status(const struct virtio *virtio, uint8_t value)
{
	const struct virtio_state *state = &virtio->state;
	uint8_t next = state->status | (value & SETTABLE);
	bool may_use = !(state->features & ~virtio->offered) && (state->features >> VIRTIO_F_VERSION_1 & 1);
	if (!(state->status & VIRTIO_CONFIG_S_FEATURES_OK) && !may_use)
		next &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	return next & VIRTIO_CONFIG_S_FEATURES_OK ? next : next & ~VIRTIO_CONFIG_S_DRIVER_OK;
}

/* Each field has one width (4.1.3.1). */
#define FIELD(at, size) ((at) << 8 | (size))

/* Zero: nothing. Of the reset of a function that nobody has started nothing does: each driver begins with it. */
static int follows(const struct virtio *virtio, uint32_t page, uint32_t at, uint32_t size, uint64_t value)
{
	const struct virtio_state *state = &virtio->state;
	if (page == VIRTIO_NOTIFY)
		return state->started && at / VIRTIO_NOTIFY_STEP < virtio->count ? VIRTIO_NOTIFIED : 0;
	switch (page == VIRTIO_COMMON ? FIELD(at, size) : 0) {
	case FIELD(VIRTIO_PCI_COMMON_STATUS, 1):
		if (!value)
			return state->started ? VIRTIO_STOPS : 0;
		return next_status(virtio, value) & VIRTIO_CONFIG_S_DRIVER_OK && !(state->status & RUNS) ? VIRTIO_STARTS : 0;
	case FIELD(VIRTIO_PCI_COMMON_MSIX, 2):
	case FIELD(VIRTIO_PCI_COMMON_Q_MSIX, 2):
		return state->started ? VIRTIO_REWIRED : 0;
	}
	return 0;
}

/* That of one that runs is virtio_reset, when its engine has let go of the guest's memory. */
static void write_status(struct virtio *virtio, uint8_t value)
{
	if (value) {
		virtio->state.started |= follows(virtio, VIRTIO_COMMON, VIRTIO_PCI_COMMON_STATUS, 1, value) == VIRTIO_STARTS;
		virtio->state.status = next_status(virtio, value);
	} else if (!virtio->state.started) {
		clear(virtio);
	}
}

static void write_features(struct virtio *virtio, uint32_t value)
{
	uint32_t shift = 32 * virtio->wanted_half;
	if (virtio->wanted_half < 2 && !(virtio->state.status & VIRTIO_CONFIG_S_FEATURES_OK))
		virtio->state.features = (virtio->state.features & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

/* What was said of a queue once is not said otherwise. Of its addresses each is written by halves or whole. */
static void write_queue(struct virtio *virtio, uint32_t at, uint32_t size, uint64_t value)
{
	struct virtio_queue *queue = selected(virtio);
	if (!queue || queue->enabled || virtio->state.started)
		return;
	uint32_t in_areas = at - VIRTIO_PCI_COMMON_Q_DESCLO;
	if (FIELD(at, size) == FIELD(VIRTIO_PCI_COMMON_Q_SIZE, 2))
		queue->size = value && value <= MOST_SIZE && !(value & (value - 1)) ? value : queue->size;
	else if (FIELD(at, size) == FIELD(VIRTIO_PCI_COMMON_Q_ENABLE, 2))
		queue->enabled = value == 1;
	else if ((size == 4 || size == 8) && in_areas < sizeof queue->areas && in_areas % size == 0)
		memcpy((uint8_t *)queue->areas + in_areas, &value, size);
}

/* What there is no vector for reads back as none (4.1.5.1.2.1). */
static uint16_t vector(const struct virtio *virtio, uint16_t value)
{
	return value <= virtio->count ? value : VIRTIO_MSI_NO_VECTOR;
}

static void write_common(struct virtio *virtio, uint32_t at, uint32_t size, uint64_t value)
{
	struct virtio_queue *queue = selected(virtio);
	switch (FIELD(at, size)) {
	case FIELD(VIRTIO_PCI_COMMON_STATUS, 1):
		return write_status(virtio, value);
	case FIELD(VIRTIO_PCI_COMMON_DFSELECT, 4):
		virtio->offered_half = value;
		return;
	case FIELD(VIRTIO_PCI_COMMON_GFSELECT, 4):
		virtio->wanted_half = value;
		return;
	case FIELD(VIRTIO_PCI_COMMON_GF, 4):
		return write_features(virtio, value);
	case FIELD(VIRTIO_PCI_COMMON_MSIX, 2):
		virtio->state.config_vector = vector(virtio, value);
		return;
	case FIELD(VIRTIO_PCI_COMMON_Q_SELECT, 2):
		virtio->selected = value;
		return;
	case FIELD(VIRTIO_PCI_COMMON_Q_MSIX, 2):
		if (queue)
			queue->vector = vector(virtio, value);
		return;
	}
	write_queue(virtio, at, size, value);
}

/* What follows from the write. Without `all`, one from which something does is not done. */
int virtio_write(struct virtio *virtio, uint32_t offset, uint32_t size, uint64_t value, bool all)
{
	uint32_t page = offset & ~(PAGE - 1), at = offset % PAGE;
	pthread_mutex_lock(&virtio->lock);
	int deed = follows(virtio, page, at, size, value);
	if (page == VIRTIO_COMMON && (all || !deed))
		write_common(virtio, at, size, value);
	pthread_mutex_unlock(&virtio->lock);
	return deed;
}

void virtio_reset(struct virtio *virtio)
{
	pthread_mutex_lock(&virtio->lock);
	clear(virtio);
	pthread_mutex_unlock(&virtio->lock);
}

/* The engine could not do as it should: the driver is to reset the device (2.1.1). One that has just done so waits for a
 * status of 0. */
void virtio_fail(struct virtio *virtio)
{
	pthread_mutex_lock(&virtio->lock);
	if (virtio->state.started) {
		virtio->state.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
		virtio->isr |= VIRTIO_PCI_ISR_CONFIG;
	}
	pthread_mutex_unlock(&virtio->lock);
}

void virtio_state(struct virtio *virtio, struct virtio_state *ret)
{
	pthread_mutex_lock(&virtio->lock);
	*ret = virtio->state;
	pthread_mutex_unlock(&virtio->lock);
}

/* -EINVAL: there is no such queue. */
int virtio_queue(struct virtio *virtio, uint32_t number, struct virtio_queue *ret)
{
	if (number >= virtio->count)
		return -EINVAL;
	pthread_mutex_lock(&virtio->lock);
	*ret = virtio->queues[number];
	pthread_mutex_unlock(&virtio->lock);
	return 0;
}
