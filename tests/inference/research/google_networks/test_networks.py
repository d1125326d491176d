"""The ONNX files against LiteRT's recorded outputs on pictures of a real man."""

import numpy as np
import pytest
from video_motion.inference.research.google_networks import networks, tflite

# Coordinates are pixels of the networks' input; metres, probabilities and logits are smaller numbers.
TOLERANCES = {"landmarks": 0.05, "coordinates": 0.05, "mask": 2.0}
OTHERS = 0.003


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_outputs_are_those_of_litert(name: str):
    theirs, ours = networks.recorded(name), networks.run_onnx(name)
    assert theirs.keys() == ours.keys() == networks.NETWORKS[name].outputs.keys()
    for output, values in theirs.items():
        assert np.ptp(values) > 0
        np.testing.assert_allclose(
            networks.thinned(ours[output]), values, rtol=0, atol=TOLERANCES.get(output, OTHERS), err_msg=output
        )


def test_a_sparse_tensor_becomes_dense():
    """TFLite's own example: the third row of a 4 x 8 matrix is empty, columns are compressed."""
    dense = np.zeros((4, 8), np.float16)
    dense[0, [1, 5]], dense[1, 0], dense[3, 7] = (1, 2), 3, 4
    schema = tflite.schema
    rows, columns = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    rows.format, rows.denseSize = schema.DimensionType.DENSE, 4
    columns.format = schema.DimensionType.SPARSE_CSR
    columns.arraySegments, columns.arrayIndices = schema.Int32VectorT(), schema.Int32VectorT()
    columns.arraySegments.values, columns.arrayIndices.values = [0, 2, 3, 3, 4], [1, 5, 0, 7]
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder, sparsity.dimMetadata = [0, 1], [rows, columns]
    np.testing.assert_array_equal(tflite._dense(np.array([1, 2, 3, 4], np.float16), (4, 8), sparsity), dense)


def test_blocks_of_a_sparse_tensor_are_put_in_place():
    """A 4 x 4 matrix of 2 x 2 blocks, of which the first row has the right one and the second the left one."""
    schema = tflite.schema
    metadata = [schema.DimensionMetadataT() for _ in range(4)]
    for dimension, size in ((metadata[0], 2), (metadata[2], 2), (metadata[3], 2)):
        dimension.format, dimension.denseSize = schema.DimensionType.DENSE, size
    metadata[1].format = schema.DimensionType.SPARSE_CSR
    metadata[1].arraySegments, metadata[1].arrayIndices = schema.Int32VectorT(), schema.Int32VectorT()
    metadata[1].arraySegments.values, metadata[1].arrayIndices.values = [0, 1, 2], [1, 0]
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder, sparsity.blockMap, sparsity.dimMetadata = [0, 1, 2, 3], [0, 1], metadata
    dense = tflite._dense(np.arange(1, 9, dtype=np.float16), (4, 4), sparsity)
    np.testing.assert_array_equal(dense, [[0, 0, 1, 2], [0, 0, 3, 4], [5, 6, 0, 0], [7, 8, 0, 0]])
