{{/* What later generations of the chart add to the pod; here: nothing but AGENTS.md. */}}
{{- define "pod.instructionFiles" -}}
["AGENTS.md"]
{{- end }}
{{- define "pod.initContainers" -}}{{- end }}
{{- define "pod.extraMounts" -}}{{- end }}
{{- define "pod.extraContainers" -}}{{- end }}
{{- define "pod.extraVolumes" -}}{{- end }}
