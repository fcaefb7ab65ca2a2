# From here on everything comes from predictions; torch is not imported any more.


rule evaluate:
    input:
        predictions=rules.train.output.predictions,
        code=source_files("cxr.metrics"),
    output:
        f"{RESULTS}/runs/{{protocol}}/{{experiment}}/seed-{{seed}}/metrics.json",
    log:
        f"{RESULTS}/logs/{{protocol}}/{{experiment}}/seed-{{seed}}/evaluate.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{protocol}}/{{experiment}}/seed-{{seed}}-evaluate.tsv"
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "python -m cxr --log {log} evaluate --predictions {input.predictions} --metrics {output}"
