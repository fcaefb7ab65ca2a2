# Images from anywhere, and the manifest in which all sources end.


rule images:
    output:
        f"{RESULTS}/images/source.json",
    log:
        f"{RESULTS}/logs/images/images.log",
    benchmark:
        f"{RESULTS}/benchmarks/images/images.tsv"
    threads: 4
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        source=json.dumps(SOURCE),
        folder=f"{RESULTS}/images/files",
        code=code_of("cxr.images.sources"),
    shell:
        "python -m cxr --log {log} images --settings {params.source:q} --folder {params.folder}"
        " --source {output} --threads {threads}"


rule manifest:
    input:
        source=rules.images.output,
        published=f"{PAPER}/published/results.json",
    output:
        manifest=f"{RESULTS}/images/manifest.csv",
        cohort=f"{RESULTS}/images/cohort.json",
    log:
        f"{RESULTS}/logs/images/manifest.log",
    benchmark:
        f"{RESULTS}/benchmarks/images/manifest.tsv"
    group:
        "preprocessing"
    threads: 8
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_of("cxr.images.manifest"),
    shell:
        "python -m cxr --log {log} manifest --source {input.source} --published {input.published:q}"
        " --manifest {output.manifest} --cohort {output.cohort} --threads {threads}"
