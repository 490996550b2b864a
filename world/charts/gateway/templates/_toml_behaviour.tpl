{{- define "toml.behaviour" -}}
{{- $pool := .spec.pool | default dict -}}
{{- $reactions := merge (deepCopy (.spec.reactions | default dict)) (dict "removeAfterReply" false "toolDisplay" "full") -}}
[pool]
max_sessions = {{ $pool.maxSessions | default 10 }}
session_ttl_hours = {{ $pool.sessionTtlHours | default 24 }}

[reactions]
enabled = {{ ne (toString (get $reactions "enabled")) "false" }}
remove_after_reply = {{ $reactions.removeAfterReply }}
tool_display = {{ $reactions.toolDisplay | toJson }}
{{- end }}
