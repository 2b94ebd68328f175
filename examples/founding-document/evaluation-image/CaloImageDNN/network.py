"""A convolutional network with one channel: two blocks of 3 x 3 layers, pooling between them, one dense layer at the end."""

import math

KERNEL = 3


class Layer:
    """A 3 x 3 convolution of the same size, then tanh."""

    def __init__(self, source):
        self.weights = [[source.gauss(0, 0.2) for _ in range(KERNEL)] for _ in range(KERNEL)]
        self.weights[1][1] += 1.0
        self.bias = 0.0
        self.clear()

    def clear(self):
        self.weight_gradients = [[0.0] * KERNEL for _ in range(KERNEL)]
        self.bias_gradient = 0.0

    def forward(self, image):
        size = len(image)
        # A border of zeros makes all cells alike.
        self.padded = [[0.0] * (size + 2), *([0.0, *row, 0.0] for row in image), [0.0] * (size + 2)]
        self.output = [
            [
                math.tanh(
                    self.bias
                    + sum(
                        self.weights[i][j] * self.padded[row + i][column + j]
                        for i in range(KERNEL)
                        for j in range(KERNEL)
                    )
                )
                for column in range(size)
            ]
            for row in range(size)
        ]
        return self.output

    def backward(self, gradient):
        size = len(gradient)
        back = [[0.0] * (size + 2) for _ in range(size + 2)]
        for row in range(size):
            for column in range(size):
                here = gradient[row][column] * (1 - self.output[row][column] ** 2)
                self.bias_gradient += here
                for i in range(KERNEL):
                    for j in range(KERNEL):
                        self.weight_gradients[i][j] += here * self.padded[row + i][column + j]
                        back[row + i][column + j] += here * self.weights[i][j]
        return [row[1:-1] for row in back[1:-1]]

    def step(self, rate):
        for i in range(KERNEL):
            for j in range(KERNEL):
                self.weights[i][j] -= rate * self.weight_gradients[i][j]
        self.bias -= rate * self.bias_gradient
        self.clear()


def pool(image):
    half = range(0, len(image), 2)
    return [[(image[r][c] + image[r + 1][c] + image[r][c + 1] + image[r + 1][c + 1]) / 4 for c in half] for r in half]


def unpool(gradient):
    size = 2 * len(gradient)
    return [[gradient[row // 2][column // 2] / 4 for column in range(size)] for row in range(size)]


class Network:
    def __init__(self, size, depths, source):
        self.blocks = [[Layer(source) for _ in range(depth)] for depth in depths]
        self.dense = [source.gauss(0, 0.1) for _ in range((size // 4) ** 2)]
        self.bias = 0.5

    def predict(self, image):
        for block in self.blocks:
            for layer in block:
                image = layer.forward(image)
            image = pool(image)
        self.features = [cell for row in image for cell in row]
        return self.bias + sum(weight * cell for weight, cell in zip(self.dense, self.features))

    def learn(self, events, rate):
        """One step down the gradient of the mean squared error of these events."""
        dense_gradients = [0.0] * len(self.dense)
        bias_gradient = 0.0
        for event in events:
            error = 2 * (self.predict(event["image"]) - event["energy"]) / len(events)
            bias_gradient += error
            for index, cell in enumerate(self.features):
                dense_gradients[index] += error * cell
            self.backward([error * weight for weight in self.dense])
        for index, gradient in enumerate(dense_gradients):
            self.dense[index] -= rate * gradient
        self.bias -= rate * bias_gradient
        for block in self.blocks:
            for layer in block:
                layer.step(rate)

    def backward(self, features):
        side = math.isqrt(len(features))
        gradient = [features[begin : begin + side] for begin in range(0, len(features), side)]
        for block in reversed(self.blocks):
            gradient = unpool(gradient)
            for layer in reversed(block):
                gradient = layer.backward(gradient)
