-- Commands and files in a pod.
require "_remote"(require("tutti").k8s("default/" .. os.getenv "TUTTI_TEST_FAULT_POD"))
