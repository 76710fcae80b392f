-- tutti help, tutti help COMMAND, tutti help ssh, tutti version.

local text = require "tutti.text"

local help = {}

local about = {
  { "run FILE [-- ARG…]", "runs a script, and the workflow that it returns" },
  { "check FILE", "loads a workflow and checks its graph; runs nothing" },
  { "graph FILE", "shows the graph as a tree, for Graphviz (--dot) or as --json" },
  { "on TARGET… -- CMD", "runs one command on many environments at once" },
  { "help [COMMAND | ssh]", "this, or all about a command, or about SSH hosts" },
  { "version", "the version" },
}

local commands = {
  run = {
    usage = "tutti run FILE [options] [-- ARG…]",
    notes = {
      "What follows -- is in the script's `arg`.",
      "Ctrl-C cancels what runs and rolls back; a second one stops at once.",
      "Exit codes: 0 completed; 1 failed; 2 the script, graph or arguments are wrong and nothing was",
      "started; 130 interrupted (143 by SIGTERM, 129 by SIGHUP).",
    },
  },
  check = { usage = "tutti check FILE [options]", notes = { "Exit codes: 0 fine; 2 not." } },
  graph = { usage = "tutti graph FILE [--dot | --json]", notes = {} },
  on = {
    usage = "tutti on TARGET… [options] -- CMD [ARG…]",
    notes = {
      "A target is local:, an ssh destination (user@host:port), ssh://…, docker://container,",
      "docker-image://name:tag or k8s://namespace/pod/container; web-[01:20] is a range.",
      "One word after -- goes to the shell there; several arrive as they are.",
      "Exit codes: 0 every target succeeded; 1 not all did.",
    },
  },
}

local topics = {}

topics.ssh = [[
SSH hosts, reached as ssh does it (keys, agent, known_hosts, ~/.ssh/config, ProxyJump):

  local web = tutti.ssh "deploy@web-1"                 -- or "deploy@web-1:2222", or { host = "web-1", … }
  print(web:run "uptime")                              -- raises when it fails; web:try returns the result
  web:run { "id", user = "root", password = tutti.secret { prompt = "sudo password: " } }
  web:upload("dist", "app")                            -- a file or a tree; download, read, write, glob, …
  local tunnel <close> = web:tunnel { to = 5432 }      -- tunnel.port here leads to port 5432 there

or, from the command line, on many at once: tutti on ssh://deploy@web-[01:20] -- uptime

options of tutti.ssh { host = "web-1", … }; each wins over ~/.ssh/config:
  user, port, key            who logs in, and private key files
  password, passphrase       of the login, and of encrypted keys: a tutti.secret
  agent                      an agent's socket, or false
  host_key                   "strict" (only known hosts) or "accept-new" (remembers a new one); a changed
                             key is always refused
  known_hosts, config        other files than ~/.ssh/known_hosts and ~/.ssh/config; config = false: none
  jump, proxy_command        the way there: "user@gate,other", an environment; a program
  connect_timeout            "30s", waiting for a busy server included
  keepalive                  "15s"; three without an answer make what runs `lost`
  idle, lifetime             how long a connection is kept ("1m") and gets new commands ("1h")
  limit                      commands at once
  cwd, env, timeout, grace, max_output, pty      what every command there starts from

TUTTI_SSH_CONFIG names another file than ~/.ssh/config for everything.
]]

function help.overview(out)
  out:write "tutti: workflows across machines, in Lua\n\nusage:\n"
  local rows = {}
  for k, row in ipairs(about) do
    rows[k] = { "  tutti " .. row[1], row[2] }
  end
  out:write(table.concat(text.columns(rows), "\n"), [[


a workflow:
  local tutti = require "tutti"
  local flow = tutti.workflow "hello"
  flow.task "hello" { run = "echo hello" }
  flow.task "world" { needs = "hello", on = tutti.ssh "deploy@web-1", run = "echo world" }
  return flow

SSH hosts are reached as ssh does it (keys, agent, known_hosts, ~/.ssh/config, ProxyJump):
  tutti.ssh "deploy@web-1:2222"     tutti.ssh{ host = "web-1", user = "deploy", jump = "gate" }
  env:run{ "systemctl", "restart", "app", user = "root" }       by sudo, there
  env:upload("dist", "/srv/app")    env:read "/etc/hostname"
  tutti on ssh://deploy@web-[01:20] --max-failures 20% -- uptime
]])
end

local function options_of(name)
  local rows, names = {}, {}
  local known = require("tutti.cli." .. name).options
  for option in pairs(known) do
    names[#names + 1] = option
  end
  table.sort(names)
  for _, option in ipairs(names) do
    local spec = known[option]
    rows[#rows + 1] = { "  " .. (spec.short and "-" .. spec.short .. ", " or "    ") .. "--" .. option
      .. (spec.value and " " .. spec.value or ""), spec.about }
  end
  return rows
end

function help.help(argv)
  local name = argv[1]
  if argv[2] then
    error(text.invalid("tutti help takes one command, not %s", text.count(#argv, "word")), 0)
  end
  if not name or name == "help" or name == "version" then
    help.overview(io.stdout)
    return 0
  end
  if topics[name] then
    io.stdout:write(topics[name])
    return 0
  end
  local command = commands[name]
  if not command then
    local names = {}
    for topic in pairs(topics) do
      names[#names + 1] = topic
    end
    for known in pairs(commands) do
      names[#names + 1] = known
    end
    local near = text.suggest(name, names)
    error(text.invalid("there is no command %q%s", name, near and ", did you mean " .. near .. "?"
      or ""), 0)
  end
  io.stdout:write("usage: ", command.usage, "\n\n", table.concat(text.columns(options_of(name)), "\n"),
    "\n")
  if #command.notes > 0 then
    io.stdout:write("\n", table.concat(command.notes, "\n"), "\n")
  end
  return 0
end

function help.version(argv)
  if argv[1] then
    error(text.invalid("tutti version takes nothing, not %q", argv[1]), 0)
  end
  io.stdout:write("tutti ", require("tutti").version, "\n")
  return 0
end

return help
