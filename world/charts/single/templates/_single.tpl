{{/* What a preset stands for: image, command, args and home as one JSON object. */}}
{{- define "chart.preset" -}}
{{- $repository := .Values.image.repository -}}
{{- $own := dict "image" $repository "command" .Values.agent.command "args" .Values.agent.args "home" "/home/agent" -}}
{{- $known := dict
      "codex" (dict "command" "codex-acp" "args" list)
      "claude" (dict "command" "claude-agent-acp" "args" list)
      "gemini" (dict "command" "gemini" "args" (list "--acp")) -}}
{{- $preset := .Values.agent.preset -}}
{{- with get $known $preset -}}
{{- $own = merge (dict "image" (printf "%s-%s" $repository $preset) "home" "/home/node") . -}}
{{- end -}}
{{ $own | toJson }}
{{- end }}

{{- define "single.labels" -}}
{{ include "chart.labels" . }}
{{ include "chart.selector" . }}
{{- end }}
