{{- define "agent.claim" -}}
{{ include "agent.fullname" . }}
{{- end }}

{{/* "true" if the chart makes the claim itself. */}}
{{- define "agent.ownsClaim" -}}
{{ include "agent.persistent" . }}
{{- end }}

{{/* Nothing protects the claim: helm deletes it with the release, or when its name changes. */}}
{{- define "agent.claimAnnotations" -}}
{{- end }}
