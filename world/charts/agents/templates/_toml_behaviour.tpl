{{/* "default" takes false for empty: reactions.enabled=false has no effect here. Generation "gateway" mends it. */}}
{{- define "toml.behaviour" -}}
{{- $pool := .spec.pool | default dict -}}
{{- $reactions := .spec.reactions | default dict -}}
[pool]
max_sessions = {{ $pool.maxSessions | default 10 }}
session_ttl_hours = {{ $pool.sessionTtlHours | default 24 }}

[reactions]
enabled = {{ $reactions.enabled | default true }}
remove_after_reply = {{ $reactions.removeAfterReply | default false }}
{{- end }}
