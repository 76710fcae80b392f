std = "lua54"
max_line_length = 120
unused_secondaries = false
cache = false
exclude_files = { "build", ".tutti" }
-- declarations for editors: functions without bodies, classes that nobody reads
files["stdlib/meta"] = { ignore = { "11.", "21.", "231", "241", "631" } }
