-- Commands and files in a container that runs.
require "_remote"(require("tutti").docker(os.getenv "TUTTI_TEST_FAULT_CONTAINER"))
