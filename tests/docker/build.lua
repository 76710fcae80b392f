-- Builds with all that a folder can hold; logs and health where it gets narrow.
local t = require "spec"
local docker = require "_docker"
local tutti = require "tutti"
local host = tutti.docker

-- A running container whose main process is this shell line; removed after the test.
local function running(line, more)
  local name = docker.name()
  local config = { Image = "box:local", Cmd = { "/bin/sh", "-c", line }, Labels = { ["tutti-test"] = name } }
  for key, value in pairs(more or {}) do config[key] = value end
  docker.api("POST", "/containers/create?name=" .. name, "-H", "Content-Type: application/json", "-d",
    tutti.json.encode(config))
  docker.api("POST", "/containers/" .. name .. "/start")
  t.cleanup(function() docker.support("remove", name) end)
  return name
end

-- An image is not needed after its test.
local function untag(tag)
  t.cleanup(function() docker.api("DELETE", "/images/" .. tag .. "?force=1") end)
end

local function context(files)
  local dir = t.tmpdir()
  for name, content in pairs(files) do
    tutti.here:run { sh = 'mkdir -p "$(dirname "$F")"', cwd = dir, env = { F = name } }
    t.write(dir .. "/" .. name, content)
  end
  return dir
end

t.describe("build", function()
  t.it("sends the folder: modes, symlinks, empty folders, nothing that is ignored", function()
    local dir = context {
      Dockerfile = "FROM box:local\nARG WHO=nobody\nCOPY . /app/\nRUN echo \"built by $WHO\" >/app/who\nLABEL a=b\n",
      ["sub/a b.txt"] = "content", [".dot"] = "dot", ["big.log"] = "x", ["keep.log"] = "y",
      ["node_modules/deep/f"] = "z", ["日本"] = "n",
        [".dockerignore"] = "# comment\n*.log\n!keep.log\n/node_modules/\nDockerfile\n",
    }
    tutti.here:run { sh = "ln -s 'sub/a b.txt' link; mkdir empty; chmod 750 sub; chmod 711 .dot", cwd = dir }
    local said = {}
    local id = host.build { path = dir, tag = { "spec-built:1", "spec-built:2" }, args = { WHO = "spec" },
      labels = { c = "d" }, progress = function(text) said[#said + 1] = text end }
    untag "spec-built:1"
    untag "spec-built:2"
    t.match(id, "^sha256:%x+$")
    t.has(table.concat(said), "Step 1/6")
    local env = tutti.docker { image = "spec-built:2" }
    local there = env:with { cwd = "/app" }
    t.eq(there:run "find . | sort; cat 'sub/a b.txt' who; readlink link; stat -c %a sub .dot".stdout,
      ".\n./.dockerignore\n./.dot\n./empty\n./keep.log\n./link\n./sub\n./sub/a b.txt\n./who\n./日本\n" ..
      "contentbuilt by spec\nsub/a b.txt\n750\n711\n")
  end, { timeout = 120 })
  t.it("a step that fails fails it, with its code", function()
    local e = t.raises("exit", function()
      host.build { path = context { Dockerfile = "FROM box:local\nRUN echo reason; exit 7\n" } }
    end)
    t.eq(e.code, 7)
  end, { timeout = 120 })
  t.it("what is wrong here is said", function()
    t.raises("not_found", function() host.build { path = t.tmpdir() } end)
    t.raises("not_found", function() host.build { path = "/no/such/folder" } end)
    t.raises(nil, function() host.build { path = context { Dockerfile = "NONSENSE" } } end)
    t.raises("invalid", function()
      host.build { path = context { Dockerfile = "FROM box:local", [".dockerignore"] = "[" } }
    end)
  end)
  t.it("names are checked before any request", function()
    t.raises("invalid", function() host.build { path = ".", tag = "a b", host = "unix:///no/such" } end)
    t.raises("invalid", function() host.pull("../x", { host = "unix:///no/such" }) end)
    t.raises("connect", function() host.pull("127.0.0.1:1/no/such:x") end)
  end)
  t.it("20 MiB go up", function()
    local dir = context { Dockerfile = "FROM box:local\nCOPY f /f\n" }
    tutti.here:run { sh = "head -c 20971520 /dev/urandom >f", cwd = dir }
    host.build { path = dir, tag = "spec-big:1" }
    untag "spec-big:1"
    t.eq(tutti.docker { image = "spec-big:1" }:run "sha256sum </f".stdout,
      tutti.here:run { sh = "sha256sum <f", cwd = dir }.stdout)
  end, { timeout = 120 })
end)

t.describe("logs", function()
  t.it("end with the container, and with the loop that reads them", function()
    local name = running "printf whole; echo; sleep 0.3; echo two >&2; sleep 1000"
    docker.eventually(function()
      return docker.api("GET", "/containers/" .. name .. "/logs?stderr=1") ~= ""
    end, "it spoke")
    t.raises("timeout", function()
      tutti.timeout("300ms", function() for _ in host.logs(name, { follow = true }) do end end)
    end)
    tutti.spawn(function()
      tutti.sleep "300ms"
      docker.api("POST", "/containers/" .. name .. "/stop?t=0")
    end)
    local seen = {}
    for line, stream in host.logs(name, { follow = true }) do seen[#seen + 1] = stream .. ":" .. line end
    table.sort(seen)
    t.eq(seen, { "stderr:two", "stdout:whole" })
    for _ in host.logs(name, { since = os.time() + 1000 }) do error "nothing is of the future" end
    for line in host.logs(name, { timestamps = true }) do t.match(line, "^%d+%-%d+%-%d+T.* %l+$") end
  end)
  t.it("of a container with a terminal", function()
    local name = running("echo hello; sleep 1000", { Tty = true })
    docker.eventually(function()
      return docker.api("GET", "/containers/" .. name .. "/logs?stdout=1") ~= ""
    end, "it spoke")
    for line, stream in host.logs(name) do t.eq({ line, stream }, { "hello", "stdout" }) end
  end)
end)

t.describe("health", function()
  t.it("says when it never will be", function()
    local function checked(test, retries)
      return { Healthcheck = { Test = { "CMD-SHELL", test }, Interval = 200000000, Timeout = 2000000000,
        Retries = retries } }
    end
    t.match(t.raises("health", function()
      host.wait_healthy(running("sleep 1000", checked("echo broken; false", 2)))
    end).message, "broken")
    t.raises("health", function() host.wait_healthy(running("sleep 1", checked("test -e /no", 100))) end)
    t.raises("timeout", function()
      host.wait_healthy(running("sleep 1000", checked("test -e /no", 1000)), { timeout = "500ms" })
    end)
    t.raises("not_found", function() host.wait_healthy "no-such-container" end)
  end)
end)

t.done()
