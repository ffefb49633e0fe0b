"""One parser per dataset: from a folder of unpacked files to arrays.

Each module has `parse(folder, config, scratch) -> Parsed`, where `folder` is None for generated
data, `config` is the dataset's whole config and `scratch` a folder for large temporary arrays.
"""
