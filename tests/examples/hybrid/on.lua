-- `tutti on` with all kinds of targets in one call.
local t = require "spec"
local tutti = require "tutti"

local support = os.getenv "TUTTI_TOP" .. "/tests/support/"
local name = "on-" .. math.random(1000000)
local docker = { support .. "dockerd", "container", os.getenv "TUTTI_TEST_DOCKER_DIR", name }
local pod = { support .. "kube", "pod", os.getenv "TUTTI_TEST_KUBE_RUN", name }
tutti.here:run(docker)
tutti.here:run(pod)

local targets = {
  "local:", ("ssh://%s@127.0.0.1:%s"):format(os.getenv "TUTTI_TEST_SSH_USER", os.getenv "TUTTI_TEST_SSH_PORT"),
  "docker://" .. name, "docker-image://box:local", ("k8s://default/%s?context=%s"):format(name,
    os.getenv "TUTTI_TEST_KUBE_CONTEXT"),
}

local function on(...)
  local words = { "on", "--json", table.unpack(targets) }
  for _, word in ipairs { "--", ... } do words[#words + 1] = word end
  local r = t.tutti(words)
  return r, r:json()
end

t.describe("tutti on", function()
  t.it("runs one line everywhere, and says where each answer is from", function()
    local r, said = on "echo here $((40 + 2))"
    t.eq({ r.code, #said.targets }, { 0, #targets }, r.stderr)
    for i, one in ipairs(said.targets) do
      t.eq({ one.target, one.stdout }, { targets[i], "here 42\n" })
    end
  end, { timeout = 120 })
  t.it("hands words over exactly, everywhere", function()
    local r, said = on("printf", "[%s]", "a b", "$HOME", "it's", "")
    t.eq(r.code, 0, r.stderr)
    for _, one in ipairs(said.targets) do t.eq(one.stdout, "[a b][$HOME][it's][]", one.target) end
  end, { timeout = 120 })
  t.it("fails when one of them does", function()
    t.eq(on("[ -e /etc/os-release ]").code, 1) -- box:local has none, this machine has
  end, { timeout = 120 })
end)

tutti.here:try { support .. "dockerd", "remove", os.getenv "TUTTI_TEST_DOCKER_DIR", name }
tutti.here:try { support .. "kube", "unpod", os.getenv "TUTTI_TEST_KUBE_RUN", name }

t.done()
