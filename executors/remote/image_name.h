/* The names of containers and of images, checked before they become part of a request's path. Any
 * thread. */
#ifndef TX_IMAGE_NAME_H
#define TX_IMAGE_NAME_H

#include "core/base/error.h"

/* `invalid` unless it can be the name or the id of a container. */
int tx_check_container_name(const char *name, struct tt_error **err);
/* `invalid` unless it can be the name of an image: "registry:5000/path/name:tag@digest". */
int tx_check_image_name(const char *name, struct tt_error **err);

#endif
