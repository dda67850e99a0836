/* The kernel's interface to iommufd (Linux 6.2), to VFIO's devices by their own nodes (Linux 6.6) and to dma-bufs of
 * their BARs (Linux 6.19), which <linux/iommufd.h> and <linux/vfio.h> of a distribution may be too old to have. All are
 * stable: numbers and layouts are those of Linux 7.3. The names are ours, so that newer headers do not collide with
 * them. */
#ifndef LAUNCHER_IOMMUFD_H
#define LAUNCHER_IOMMUFD_H

#include <stdint.h>
#include <sys/ioctl.h>

#ifndef VFIO_DEVICE_BIND_IOMMUFD
#define VFIO_DEVICE_BIND_IOMMUFD _IO(';', 118)
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(';', 119)
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(';', 120)
#endif
#ifndef VFIO_DEVICE_FEATURE
#define VFIO_DEVICE_FEATURE _IO(';', 117)
#define VFIO_DEVICE_FEATURE_GET (1 << 16)
#define VFIO_DEVICE_FEATURE_PROBE (1 << 18)
#endif
#ifndef VFIO_DEVICE_FEATURE_DMA_BUF
#define VFIO_DEVICE_FEATURE_DMA_BUF 11
#endif
#ifndef VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1)
#endif

#ifndef IOMMU_DESTROY
#define IOMMU_DESTROY _IO(';', 0x80)
#define IOMMU_IOAS_ALLOC _IO(';', 0x81)
#define IOMMU_IOAS_IOVA_RANGES _IO(';', 0x84)
#define IOMMU_IOAS_MAP _IO(';', 0x85)
#define IOMMU_IOAS_UNMAP _IO(';', 0x86)
#define IOMMU_OPTION _IO(';', 0x87)
enum { IOMMU_IOAS_MAP_FIXED_IOVA = 1, IOMMU_IOAS_MAP_WRITEABLE = 2, IOMMU_IOAS_MAP_READABLE = 4 };
enum { IOMMU_OPTION_RLIMIT_MODE = 0, IOMMU_OPTION_OP_SET = 0 };
#endif
#ifndef IOMMU_IOAS_MAP_FILE
#define IOMMU_IOAS_MAP_FILE _IO(';', 0x8f)
#endif

/* `size` and `argsz` are those of the whole struct; `reserved` and `none` are 0. */
struct cdev_bind { uint32_t argsz, flags; int32_t iommufd; uint32_t out_devid; };
struct cdev_attach { uint32_t argsz, flags, pt_id; };
struct cdev_detach { uint32_t argsz, flags; };
struct bar_dma_buf { uint32_t argsz, flags, region_index, open_flags, none, nr_ranges; uint64_t offset, length; };
struct ioas_destroy { uint32_t size, id; };
struct ioas_alloc { uint32_t size, flags, out_ioas_id; };
struct ioas_range { uint64_t start, last; };
struct ioas_ranges { uint32_t size, ioas_id, num_iovas, reserved; uint64_t allowed_iovas, out_iova_alignment; };
struct ioas_map { uint32_t size, flags, ioas_id, reserved; uint64_t user_va, length, iova; };
struct ioas_map_file { uint32_t size, flags, ioas_id; int32_t fd; uint64_t start, length, iova; };
struct ioas_unmap { uint32_t size, ioas_id; uint64_t iova, length; };
struct iommufd_option { uint32_t size, option_id; uint16_t op, reserved; uint32_t object_id; uint64_t val64; };

_Static_assert(sizeof(struct cdev_bind) == 16 && sizeof(struct cdev_attach) == 12, "linux/vfio.h");
_Static_assert(sizeof(struct bar_dma_buf) == 40, "linux/vfio.h, one range");
_Static_assert(sizeof(struct ioas_map_file) == 40, "linux/iommufd.h");
_Static_assert(sizeof(struct ioas_ranges) == 32 && sizeof(struct ioas_map) == 40, "linux/iommufd.h");
_Static_assert(sizeof(struct ioas_unmap) == 24 && sizeof(struct iommufd_option) == 24, "linux/iommufd.h");

#endif
