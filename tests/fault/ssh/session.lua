-- Commands and files over SSH; an RSA key, whose signature is made here.
local tutti = require "tutti"
local dir = os.getenv "TUTTI_TEST_SSH_DIR"

require "_remote"(tutti.ssh {
  host = "localhost", port = tonumber(os.getenv "TUTTI_TEST_SSH_PORT"), user = os.getenv "TUTTI_TEST_SSH_USER",
  key = dir .. "/id_rsa", known_hosts = dir .. "/known_hosts", config = false, agent = false,
})
