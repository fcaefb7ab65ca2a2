# The choices that validation makes among runs, and the paper.


rule selection:
    input:
        records=expand("{run}/run.json", run=RUNS),
        published=["paper/published/curves.json", "paper/published/results.json"],
        code=source_files("cxr.selection"),
    output:
        f"{RESULTS}/selection.json",
    log:
        f"{RESULTS}/logs/selection.log",
    benchmark:
        f"{RESULTS}/benchmarks/selection.tsv"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        settings=json.dumps(study.families()),
    shell:
        "python -m cxr --log {log} selection --settings {params.settings:q} --records {input.records}"
        " --published paper/published --selection {output}"


rule report:
    input:
        runs=expand("{run}/{file}", run=RUNS, file=FILES),
        cohort=rules.manifest.output.cohort,
        preprocessing=expand(rules.normalisation.output, protocol=study.protocols),
        figures=rules.figures.output,
        transforms=expand(rules.transforms_figure.output, protocol=study.protocols),
        selection=rules.selection.output,
        words=[str(path) for path in sorted(Path("paper").rglob("*")) if path.is_file()],
        look=[str(path) for path in sorted(Path("report_templates").iterdir())],
        code=source_files("cxr.report"),
    output:
        html=f"{RESULTS}/report/paper.html",
        pdf=f"{RESULTS}/report/paper.pdf",
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        config=json.dumps(config),
    shell:
        f"python -m cxr --log {{log}} report --config {{params.config:q}} --results {RESULTS}"
        " --html {output.html} --pdf {output.pdf}"
