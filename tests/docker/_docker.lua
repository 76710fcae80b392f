-- What the Docker specs share: containers made and looked at past tutti, by bare calls of the API.
local t = require "spec"
local tutti = require "tutti"

local docker = { dir = assert(os.getenv "TUTTI_TEST_DOCKER_DIR", "needs tests/support/dockerd") }
local support = os.getenv "TUTTI_TOP" .. "/tests/support/dockerd"
local here = tutti.here

-- tests/support/dockerd COMMAND DIR ARG…; what it printed.
function docker.support(command, ...)
  return here:run({ support, command, docker.dir, ... }).stdout
end

function docker.api(method, path, ...)
  local text = docker.support("api", method, path, ...)
  return text:match "^%s*[%[{]" and tutti.json.decode(text) or text
end

local serial = 0

function docker.name()
  serial = serial + 1
  return ("spec-%d-%d"):format(math.random(1000000), serial)
end

-- A running container, removed after the test.
function docker.container(image)
  local name = docker.name()
  docker.support("container", name, image or "box:local")
  t.cleanup(function()
    here:try { support, "remove", docker.dir, name }
  end)
  return name
end

-- The containers that some tutti started for itself.
function docker.own()
  return docker.api("GET", "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22tutti.owner%22%5D%7D")
end

-- How many processes in a container have this word in their command line.
function docker.count(container, word)
  local id = docker.api("GET", "/containers/" .. container .. "/json").Id
  local r = here:run { sh = [[for f in $(grep -l "$ID" /proc/[0-9]*/cgroup 2>/dev/null); do
    tr '\0' ' ' <"${f%cgroup}cmdline" 2>/dev/null | grep -qF -- "$WORD" && echo x
  done; true]], env = { ID = id, WORD = word } }
  return #r.stdout // 2
end

docker.eventually = t.eventually

return docker
