# From here on everything comes from predictions; torch is not imported any more.


rule evaluate:
    input:
        predictions=rules.train.output.predictions,
        code=source_files("cxr.metrics"),
    output:
        expand(f"{RUN}/metrics.json", experiment=TOGETHER, allow_missing=True),
    log:
        f"{RESULTS}/logs/{{protocol}}/{JOB}/seed-{{seed}}/evaluate.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{protocol}}/{JOB}/seed-{{seed}}-evaluate.tsv"
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "python -m cxr --log {log} evaluate --predictions {input.predictions} --metrics {output}"
