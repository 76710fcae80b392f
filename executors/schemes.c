#include "executors/schemes.h"

#include "executors/docker/docker.h"
#include "executors/docker/image.h"
#include "executors/k8s/text.h"
#include "executors/local/local.h"
#include "executors/ssh/from_text.h"

static const struct tt_env_scheme local = {"local", tx_local_from_text};
static const struct tt_env_scheme ssh = {"ssh", tx_ssh_from_text};
static const struct tt_env_scheme docker = {"docker", tx_docker_from_text};
static const struct tt_env_scheme image = {"docker-image", tx_docker_image_from_text};
static const struct tt_env_scheme k8s = {"k8s", tx_k8s_from_text};
static const struct tt_env_scheme job = {"k8s-job", tx_k8s_job_from_text};

const struct tt_env_scheme *const tx_schemes[] = {&local, &ssh, &docker, &image, &k8s, &job, NULL};
